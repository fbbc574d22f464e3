"""The folder beside an answers file, ANSWERS.jsonl.state: what is needed to go on, and who is writing.

job.json   {"v": 1, "fingerprint": {"model": ..., ...}}: with what the answers were made
begun      the items in progress (agentkit/batch/begun.py); not there when there are none
spent      what was spent for which the answers file has no record (agentkit/batch/spent_file.py)
name       that of the batch in the ids of its sessions, as long as the answers file is the same
lock       is locked as long as a program writes the answers file
holder     which one that is, for the message to another
lease      in place of the lock, on a file system without locks
"""

import json
import os
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from agentkit._text import json_bytes, short_repr
from agentkit.batch.file_lease import NO_LOCKS, FileLease
from agentkit.batch.replaced_file import replace_file
from agentkit.errors import ConfigurationError
from agentkit.sessions.file_lock import FileLocks

NAME = "name"


class StateFolder:
    """The state of an answers file, locked against other programs. `release` has to be called at the end.

    Raises ConfigurationError when another program writes the file, or the folder can't be used.
    """

    def __init__(self, answers: Path) -> None:
        self.path = answers.with_name(f"{answers.name}.state")
        self._answers = answers.name
        self._is_new = not self.path.exists()
        self._locks = FileLocks(self.path)
        self._held = ExitStack()
        self._lease: FileLease | None = None
        try:
            self._lock()
            holder = {"pid": os.getpid(), "host": socket.gethostname()}
            replace_file(self.path / "holder", json_bytes(holder), lasts=False)
        except OSError as error:
            self._held.close()
            raise _unusable(self.path, error) from None

    def _lock(self) -> None:
        try:
            self._held.enter_context(self._locks.hold("lock", wait=0.0))
        except TimeoutError:
            raise ConfigurationError(self._who_holds()) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            self._take_lease()

    def _take_lease(self) -> None:
        try:
            self._lease = FileLease(self.path / "lease")
        except TimeoutError:
            raise ConfigurationError(self._who_holds()) from None
        self._held.callback(self._lease.release)

    def _who_holds(self) -> str:
        with suppress(OSError, ValueError, TypeError, KeyError):
            holder = json.loads((self.path / "holder").read_bytes())
            where = "" if holder["host"] == socket.gethostname() else f" on {holder['host']}"
            return (
                f"process {holder['pid']}{where} is writing {self._answers}: wait until it has ended, or write to "
                "another file"
            )
        return f"another program is writing {self._answers}: wait until it has ended, or write to another file"

    def keep(self) -> None:
        """Say that this process is still there, where that is needed. Raises OSError when the lock was lost."""
        if self._lease is not None:
            self._lease.keep()

    def release(self, *, discard: bool = False) -> None:
        """Let others write the answers file. discard: remove the folder, if it was not there before."""
        with suppress(OSError):
            (self.path / "holder").unlink(missing_ok=True)
        if discard and self._is_new:
            self._locks.remove("lock")
        self._held.close()
        if discard and self._is_new:
            with suppress(OSError):
                self.path.rmdir()

    def check_fingerprint(self, fingerprint: dict[str, Any], *, has_answers: bool, anyway: bool) -> None:
        """Compare with what the answers were made with, and keep it. Raises ConfigurationError that names what has
        changed, unless there are no answers or `anyway`."""
        kept = self._kept_fingerprint(anyway or not has_answers)
        given = json.loads(json_bytes(fingerprint))
        changed = [name for name in {**(kept or given), **given} if (kept or given).get(name) != given.get(name)]
        if changed and has_answers and not anyway:
            raise ConfigurationError(
                f"the answers in {self._answers} were made with another {' and another '.join(changed)} "
                f"({'; '.join(_change(name, kept or {}, given) for name in changed)}): go on with what it was, or "
                "write to another file; --anyway (anyway=True) goes on in this one"
            )
        if kept != given:
            replace_file(self.path / "job.json", json_bytes({"v": 1, "fingerprint": given}))

    def _kept_fingerprint(self, may_be_lost: bool) -> dict[str, Any] | None:
        path = self.path / "job.json"
        try:
            kept = json.loads(path.read_bytes())["fingerprint"]
            if not isinstance(kept, dict):
                raise TypeError
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            if may_be_lost:
                return None
            raise ConfigurationError(
                f"{path} can't be read, so it is not known with what the answers in {self._answers} were made: remove "
                "it, or go on with --anyway (anyway=True)"
            ) from None
        return kept


def _change(name: str, kept: dict[str, Any], given: dict[str, Any]) -> str:
    return f"{name} was {short_repr(kept.get(name))}, is {short_repr(given.get(name))}"


def _unusable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{path} can't be written ({error.strerror or error}): the answers file needs a folder beside it, of the same "
        "user"
    )
