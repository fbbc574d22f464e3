"""What stores have to do when their process forks.

A child of `os.fork` gets a copy of every lock as it is at that moment, and none of the threads that would release it;
it shares the open files, with their locks, and the connections of its parent. So a store waits until no other thread is
in the middle of something, and its child begins without locks and connections of its own.
"""

import os
import threading
from typing import Protocol
from weakref import WeakSet


class Forking(Protocol):
    """What takes part in forks. Both methods are called in the thread that forks, one after the other, in the parent
    and in the child; between them is the fork."""

    def before_fork(self) -> None:
        """Wait until nothing is half done, and keep it so."""

    def after_fork(self, is_child: bool) -> None:
        """Go on; in a child, with new locks, and without what belongs to the parent."""


class _Forks:
    def __init__(self) -> None:
        self.known: WeakSet[Forking] = WeakSet()
        self.guard = threading.RLock()  # a finalizer that runs meanwhile may register another
        self.waiting: list[Forking] = []

    def before(self) -> None:
        self.guard.acquire()
        self.waiting = list(self.known)
        for each in self.waiting:
            each.before_fork()

    def after(self, is_child: bool) -> None:
        for each in self.waiting:
            each.after_fork(is_child)
        self.waiting = []
        guard = self.guard
        if is_child:
            self.guard = threading.RLock()
        else:
            guard.release()


_FORKS = _Forks()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_FORKS.before,
        after_in_parent=lambda: _FORKS.after(is_child=False),
        after_in_child=lambda: _FORKS.after(is_child=True),
    )


def take_part_in_forks(store: Forking) -> None:
    """Have the methods of a store called around each fork, for as long as it exists."""
    with _FORKS.guard:
        _FORKS.known.add(store)
