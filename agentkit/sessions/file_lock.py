"""Locks of the operating system on files of a folder: they exclude processes and the threads of one process, are
released when their process ends, and are not inherited by its forks."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from agentkit._forking import take_part_in_forks

FIRST_POLL, LAST_POLL = 0.0005, 0.02


class HeldLock:
    """A lock that was acquired. handle: the open file; None when it is held no longer, or by the parent process."""

    def __init__(self, path: str, handle: Any) -> None:
        self.path = path
        self.handle: Any = handle

    def is_held(self) -> bool:
        """Whether it still excludes others: not after a fork, and not when its file was removed."""
        return self.handle is not None and _is_at(self.path, self.handle)


class FileLocks:
    """The locks in a folder, by file name. The folder is created when needed, readable by its owner only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._guard = threading.RLock()  # a fork never sees a file that is open but not in `_held`
        self._held: set[HeldLock] = set()
        take_part_in_forks(self)

    @contextmanager
    def hold(self, name: str, wait: float) -> Iterator[HeldLock]:
        """Hold the lock of a name. Raises TimeoutError when another holds it for more than `wait` seconds, OSError when
        the file can't be used."""
        lock = self.acquire(name, wait)
        try:
            yield lock
        finally:
            self.release(lock)

    def acquire(self, name: str, wait: float) -> HeldLock:
        """Acquire the lock of a name, until `release`. Raises as `hold` does."""
        path = os.path.join(self._folder, name)
        if (lock := self._tried(path)) is not None:
            return lock
        end, pause = time.monotonic() + wait, FIRST_POLL
        while lock is None:
            remaining = end - time.monotonic()
            if remaining <= 0:
                raise TimeoutError(f"{path} is locked")
            time.sleep(min(pause, remaining))
            pause = min(2 * pause, LAST_POLL)
            lock = self._tried(path)
        return lock

    def release(self, lock: HeldLock) -> None:
        """Release a lock; again does nothing."""
        with self._guard:
            if lock.handle is not None:
                self._held.discard(lock)
                _unlock(lock.handle)
                lock.handle = None

    def remove(self, name: str) -> None:
        """Remove the file of a lock that is held; whoever waits for it opens the next one."""
        path = os.path.join(self._folder, name)
        with self._guard:
            is_held = any(lock.path == path and lock.is_held() for lock in self._held)
            if is_held and sys.platform != "win32":  # where an open file can't be removed
                with suppress(FileNotFoundError):
                    os.unlink(path)

    def _tried(self, path: str) -> HeldLock | None:
        with self._guard:
            try:
                handle = _locked(path)
            except FileNotFoundError:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                handle = _locked(path)
            if handle is None:
                return None
            lock = HeldLock(path, handle)
            self._held.add(lock)
            return lock

    def before_fork(self) -> None:
        self._guard.acquire()

    def after_fork(self, is_child: bool) -> None:
        if not is_child:
            self._guard.release()
            return
        self._guard = threading.RLock()
        for lock in self._held:
            with suppress(OSError):
                _abandon(lock.handle)
            lock.handle = None
        self._held = set()


if sys.platform == "win32":
    import filelock

    def _locked(path: str) -> Any:
        if not Path(path).parent.is_dir():
            raise FileNotFoundError(path)
        lock = filelock.FileLock(path, timeout=0, thread_local=False, mode=0o600)
        try:
            lock.acquire()
        except filelock.Timeout:
            return None
        return lock

    def _is_at(path: str, handle: Any) -> bool:
        return bool(handle.is_locked)

    def _unlock(handle: Any) -> None:
        handle.release()

    def _abandon(handle: Any) -> None:
        """Never called: there is no fork."""

else:
    import fcntl

    class _Handle(NamedTuple):
        """An open file. status: which file it is."""

        descriptor: int
        status: os.stat_result

    def _locked(path: str) -> Any:
        """The file at `path`, open and locked; None when another holds it."""
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                handle = _Handle(descriptor, os.fstat(descriptor))
                is_at_path = _is_at(path, handle)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except BaseException:
                os.close(descriptor)
                raise
            if is_at_path:
                return handle
            os.close(descriptor)  # it was removed, with its session, while this waited

    def _is_at(path: str, handle: _Handle) -> bool:
        """Whether the open file is the one at `path`."""
        try:
            return os.path.samestat(handle.status, os.stat(path))
        except FileNotFoundError:
            return False

    def _unlock(handle: _Handle) -> None:
        fcntl.flock(handle.descriptor, fcntl.LOCK_UN)  # now, also if a process started meanwhile shares the open file
        os.close(handle.descriptor)

    def _abandon(handle: _Handle) -> None:
        """Close it without unlocking: the parent shares the open file."""
        os.close(handle.descriptor)
