"""A file to which lines are appended, each of them whole or not at all."""

import os
import threading
from pathlib import Path

from agentkit.batch.replaced_file import synced

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_sync = getattr(os, "fdatasync", os.fsync)  # Windows and macOS have no fdatasync


class AppendFile:
    """The file at a path, created when there is none. mode: its permissions then, less the umask. All methods may be
    called in any thread. Raises OSError when it can't be opened."""

    def __init__(self, path: Path, mode: int) -> None:
        self.path = path
        self._handle = os.open(path, _FLAGS, mode)
        self.size = os.fstat(self._handle).st_size
        """The bytes in the file, which nobody else writes to: to ask each time takes as long as to write."""
        self._lock = threading.Lock()
        self._is_dirty = False
        self._left_half: OSError | None = None

    def append(self, data: bytes) -> int:
        """Append bytes, in one write; returns where they begin. Raises OSError when there is no room for all of them:
        none of them stay."""
        with self._lock:
            if self._left_half is not None:
                raise self._left_half
            start = self.size
            self._is_dirty = True
            self.size += len(data)
            try:
                written = os.write(self._handle, data)
                while written < len(data):  # the disk is nearly full: the next attempt says so
                    written += os.write(self._handle, data[written:])
            except BaseException:
                self.size = start
                self._take_back(start, len(data))
                raise
            return start

    def _take_back(self, start: int, length: int) -> None:
        try:
            if start < os.fstat(self._handle).st_size <= start + length:
                os.ftruncate(self._handle, start)
        except OSError as error:
            self._left_half = error  # nothing may follow half a line; it is cut off at the next start
            raise

    def truncate(self, size: int) -> None:
        """Cut off what is behind the first `size` bytes."""
        os.ftruncate(self._handle, size)
        self.size = size
        self._is_dirty = True

    def sync(self) -> None:
        """Have what was appended reach the disk. Raises OSError when it does not."""
        with self._lock:
            if not self._is_dirty:
                return
            self._is_dirty = False
            handle = os.dup(self._handle)  # others go on writing, and may close the file
        try:
            synced(_sync, handle)
        finally:
            os.close(handle)

    def is_at_path(self) -> bool:
        """Whether the file is still the one at its path, and was not removed or replaced."""
        try:
            return os.path.samestat(os.fstat(self._handle), os.stat(self.path))
        except OSError:
            return False

    def close(self) -> None:
        """Close the file. Further calls do nothing."""
        with self._lock:
            if self._handle >= 0:
                os.close(self._handle)
            self._handle = -1
            self._is_dirty = False
