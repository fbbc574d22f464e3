"""What was spent for which an answers file has no record: for failures whose place a later record has taken, and runs
that were stopped.

It is kept beside the file, as {"lost": [runs, cost, tokens]}. While the file is written anew, without the superseded
records, there are also {"size": that of the file before, "before": what had no record then}: killed in between, it is
known which of the two holds.
"""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from agentkit._text import json_bytes
from agentkit.batch.budget import Spent
from agentkit.batch.replaced_file import replace_file


class SpentFile:
    """The sum in a file; not to be used by two threads at the same time. size: that of the answers file."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self.lost = _read(path, size)
        self._kept: Spent | None = None  # what is in the file, and no more than that

    def keep(self) -> None:
        """Write the sum, if it has changed. Raises OSError."""
        if self.lost != (self._kept or Spent()):
            replace_file(self._path, json_bytes({"lost": _listed(self.lost)}), lasts=False)
            self._kept = replace(self.lost)

    def begin_rewriting(self, more: Spent, size: int) -> None:
        """The answers file, of that size, will lose records that have spent `more`. Raises OSError."""
        before = _listed(self.lost)
        lost = Spent(self.lost.runs + more.runs, self.lost.cost + more.cost, self.lost.tokens + more.tokens)
        replace_file(self._path, json_bytes({"lost": _listed(lost), "size": size, "before": before}))
        self.lost = lost

    def forget(self) -> None:
        """It is a new answers file. Raises OSError."""
        self._path.unlink(missing_ok=True)
        self.lost = Spent()


def _listed(spent: Spent) -> list[float]:
    return [spent.runs, spent.cost, spent.tokens]


def _read(path: Path, size: int) -> Spent:
    with suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads(path.read_bytes())
        runs, cost, tokens = kept["before" if kept.get("size") == size else "lost"]
        return Spent(int(runs), float(cost), int(tokens))
    return Spent()
