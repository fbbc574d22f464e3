"""What has to be done when the process forks (`os.fork`: multiprocessing, prefork servers).

A child gets a copy of every lock as it is at that moment, and none of the threads that would release it; it shares the
open files, with their locks, and the connections of its parent. So what is in the middle of something that can't be
left half done is waited for, and a child begins with free locks, and with connections and threads of its own.
"""

import _frozen_importlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, Protocol, TypeVar
from weakref import ref

from agentkit._lazy.logs import logger_of
from agentkit._lazy.modules import loaded
from agentkit.errors import AgentkitError

Lock = TypeVar("Lock")
Registered = TypeVar("Registered")
PATIENCE = 10.0
"""Maximum seconds that a fork waits for a lock, or for an import: it may be of a thread that waits for what the fork
itself holds."""
POLL = 0.002

logger = logger_of("agentkit")


class Forking(Protocol):
    """What takes part in forks. Both methods are called in the thread that forks, one after the other, in the parent
    and in the child; between them is the fork."""

    def before_fork(self) -> None:
        """Wait until nothing is half done, and keep it so."""

    def after_fork(self, is_child: bool) -> None:
        """Go on; in a child, with new locks, and without what belongs to the parent."""


class Renewed(Protocol):
    """What begins anew in a child, whatever its parent is doing with it."""

    def renew_in_child(self) -> None:
        """Called in the child, before anything else happens there: leave to the parent what belongs to it."""


class _Registry(Generic[Registered]):
    """Objects, as long as they exist; one is added also while a fork waits, by what it waits for."""

    def __init__(self) -> None:
        self._references: set[ref[Registered]] = set()  # each step of it is atomic: a WeakSet takes five times as long

    def add(self, each: Registered) -> None:
        self._references.add(ref(each, self._references.discard))

    def all(self) -> list[Registered]:
        return [each for reference in self._references.copy() if (each := reference()) is not None]


def _is_importing() -> bool:
    """Whether another thread imports a module, whose lock no child would get."""
    locks = [reference() for reference in list(getattr(_frozen_importlib, "_module_locks", {}).values())]
    return any(lock is not None and lock.owner not in (None, threading.get_ident()) for lock in locks)


@contextmanager
def _others_may_log() -> Iterator[None]:
    """For as long as a fork waits for other threads, which may log: where `logging` was loaded after this module, its
    hook runs before ours, and has taken its lock. Where it is loaded meanwhile, its lock is taken in place of the hook,
    which would come too late, and of which the one behind the fork is called."""
    before = _lock_of_logging()
    is_ours = before is None
    with suppress(AttributeError, RuntimeError):  # it is not loaded, or its hook runs after ours
        before.release()
        is_ours = True
    try:
        yield
    finally:
        now = _lock_of_logging()
        if is_ours and now is not None:
            now.acquire()


def _lock_of_logging() -> Any:
    return loaded("logging", "_lock")


class _Forks:
    def __init__(self) -> None:
        self.known = _Registry[Forking]()
        self.renewed = _Registry[Renewed]()
        self.freed = _Registry[Any]()
        self.awaited = _Registry[Any]()
        self.process = os.getpid()
        self.noticing = threading.Lock()
        self.one_at_a_time = threading.RLock()
        self.ready: list[Forking] = []
        self.held: list[Any] = []

    def before(self) -> None:
        self.one_at_a_time.acquire()
        with _others_may_log():
            for each in self.known.all():
                each.before_fork()
                self.ready.append(each)
            for lock in self.awaited.all():
                if lock.acquire(timeout=PATIENCE):
                    self.held.append(lock)
                else:
                    logger.warning("os.fork: another thread is in the middle of something that took too long")
            end = time.monotonic() + PATIENCE
            while _is_importing() and time.monotonic() < end:
                time.sleep(POLL)

    def after_in_parent(self) -> None:
        for lock in self.held:
            lock.release()
        for each in self.ready:
            each.after_fork(is_child=False)
        self.held, self.ready = [], []
        self.one_at_a_time.release()

    def after_in_child(self) -> None:
        self.process = os.getpid()
        self.held, self.ready, self.one_at_a_time = [], [], threading.RLock()
        for lock in [*self.freed.all(), *self.awaited.all()]:
            lock._at_fork_reinit()  # of every Python that forks: its own modules need it
        for each in self.known.all():
            each.after_fork(is_child=True)
        for renewed in self.renewed.all():
            try:
                renewed.renew_in_child()
            except Exception as error:  # noqa: BLE001 - the others begin anew, too
                logger.warning("os.fork: %s in the child raised %s", type(renewed).__name__, type(error).__name__)


_FORKS = _Forks()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_FORKS.before, after_in_parent=_FORKS.after_in_parent, after_in_child=_FORKS.after_in_child
    )


def notice_fork() -> None:
    """Do what is due in a child that was not forked by Python's functions: a server in C (uWSGI) may call no hook.

    To be called where a connection, a thread or a file of this process is about to be used.
    """
    if os.getpid() != _FORKS.process:
        with _FORKS.noticing:
            if os.getpid() != _FORKS.process:
                _FORKS.after_in_child()


def check_same_process(process: int) -> None:
    """Raise AgentkitError in a child of the process with this id: it lacks the threads that its parent waits for."""
    if os.getpid() != process:
        raise AgentkitError(
            "this run was begun before os.fork, and goes on in the parent process: begin a run of its own in the child"
        )


def take_part_in_forks(each: Forking) -> None:
    """Have the methods of an object called around each fork, for as long as it exists."""
    _FORKS.known.add(each)


def renewed_by_forks(each: Renewed) -> None:
    """Have `renew_in_child` of an object called in each forked child, for as long as the object exists."""
    _FORKS.renewed.add(each)


def freed_by_forks(lock: Lock) -> Lock:
    """Have a lock be free in each forked child, whatever thread of the parent holds it; returns the lock.

    What it guards has to be valid at any moment, and the thread that forks must not hold it.
    """
    _FORKS.freed.add(lock)
    return lock


def awaited_by_forks(lock: Lock) -> Lock:
    """Have each fork wait until a lock is free, for what a child can't use half done (SQLite, OpenSSL); returns the
    lock. It is an RLock, held for less than a second and never while another one of these is waited for."""
    _FORKS.awaited.add(lock)
    return lock
