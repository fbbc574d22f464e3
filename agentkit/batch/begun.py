"""Which items are in progress: noted before they are sent, so that a later start knows it after a kill.

The file has a line for each item that was begun, `[offset, "id"]`: a record of the id that begins before this offset of
the answers file is older than the note. An offset of -1 takes the notes of the id back. The file is written anew, with
what is still in progress, when it is long, so that it never has more than about a megabyte.
"""

import json
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from agentkit.batch.append_file import AppendFile
from agentkit.batch.replaced_file import replace_file

NEVER = 1 << 60
"""The offset of a note that is newer than any record."""
MAX_BYTES = 1 << 20
_TAKEN_BACK = -1
_encoded = json.JSONEncoder().encode


class Begun:
    """The notes of an answers file. Not to be used by two threads at the same time. Raises OSError when the file can't
    be read or written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: AppendFile | None = None
        self._room = MAX_BYTES
        self.notes: dict[str, int] = _read(path)
        """The offsets by the ids of what was begun and is not done, in the order in which it was begun."""

    def begin(self, ids: Collection[str], offset: int) -> None:
        """Note what is about to be sent. offset: the size of the answers file. After a failure nothing is noted."""
        self._append(_lines((id_, offset) for id_ in ids))
        for id_ in ids:
            self.notes.pop(id_, None)
            self.notes[id_] = offset

    def forget(self, ids: Collection[str]) -> None:
        """Take notes back."""
        known = [id_ for id_ in ids if self.notes.pop(id_, None) is not None]
        if known:
            self._append(_lines((id_, _TAKEN_BACK) for id_ in known))

    def _append(self, data: bytes) -> None:
        if self._room < len(data):
            self.keep(self.notes)
        if self._file is None:
            self._file = AppendFile(self._path, 0o600)
        self._file.append(data)
        self._room -= len(data)

    def done(self, id_: str) -> None:
        """Forget an item, whose record is written."""
        self.notes.pop(id_, None)

    def keep(self, notes: dict[str, int]) -> None:
        """Write the file anew with these notes; without any it is removed."""
        self.close()
        self.notes = dict(notes)
        if notes:
            data = _lines(notes.items())
            replace_file(self._path, data)
            self._room = MAX_BYTES + len(data)
        else:
            self._path.unlink(missing_ok=True)
            self._room = MAX_BYTES

    def sync(self) -> None:
        """Have the notes reach the disk."""
        if self._file is not None:
            self._file.sync()

    def close(self) -> None:
        """Close the file; it is opened when needed."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _lines(notes: Iterable[tuple[str, int]]) -> bytes:
    return "".join(f"[{offset}, {_encoded(id_)}]\n" for id_, offset in notes).encode()


def _read(path: Path) -> dict[str, int]:
    """The notes in a file. A torn line is left out: what it would say was never sent."""
    notes: dict[str, int] = {}
    if not path.exists():
        return notes
    with open(path, "rb") as file:
        for line in file:
            with suppress(ValueError, TypeError):
                offset, id_ = json.loads(line)
                notes.pop(id_, None)
                notes |= {id_: int(offset)} if offset >= 0 else {}
    return notes
