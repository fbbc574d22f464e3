"""A lock for file systems that have none: a file that its holder touches each few seconds."""

import errno
import os
import secrets
import socket
import sys
from contextlib import suppress
from pathlib import Path

SECONDS = 60.0
"""How long the holder of a lease may be silent until another takes it."""
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""What a file system without locks answers."""


class FileLease:
    """The lease in a file. Raises TimeoutError when another holds it, OSError when the file can't be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._host = socket.gethostname()
        self._text = f"{self._host} {os.getpid()} {secrets.token_hex(8)}"
        if not self._is_created():
            self._take_over()

    def _is_created(self) -> bool:
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return False
        with os.fdopen(handle, "w") as file:
            file.write(self._text)
        return True

    def _take_over(self) -> None:
        """Take the lease of a holder that is gone."""
        held = self._holder()
        if not self._is_stale(held):
            raise TimeoutError(f"{self._path} is held")
        aside = self._path.with_name(f"{self._path.name}.{secrets.token_hex(8)}")
        os.replace(self._path, aside)
        is_same = aside.read_text() == held
        aside.unlink()
        if not is_same or not self._is_created():  # another was quicker, and its next `keep` finds that out
            raise TimeoutError(f"{self._path} is held")

    def _holder(self) -> str:
        with suppress(OSError):
            return self._path.read_text()
        return ""

    def _is_stale(self, held: str) -> bool:
        host, _, rest = held.partition(" ")
        if host == self._host and _is_gone(rest.partition(" ")[0]):
            return True
        probe = self._path.with_name(f"{self._path.name}.{secrets.token_hex(8)}")
        probe.touch(mode=0o600)
        try:  # by the clock of the file system: that of another machine may be wrong
            return probe.stat().st_mtime - self._path.stat().st_mtime > SECONDS
        except FileNotFoundError:
            return True
        finally:
            probe.unlink(missing_ok=True)

    def keep(self) -> None:
        """Say that this process is still there. Raises OSError when another has taken the lease."""
        if self._holder() != self._text:
            raise OSError(errno.ENOLCK, "another program has taken the lock, since this one was silent for too long")
        os.utime(self._path)

    def release(self) -> None:
        """Give the lease back."""
        if self._holder() == self._text:
            self._path.unlink(missing_ok=True)


def _is_gone(pid: str) -> bool:
    """Whether it is known that there is no process of this id on this machine."""
    if sys.platform == "win32":  # where signal 0 ends a process
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return True
    except OSError:
        return False
    return False
