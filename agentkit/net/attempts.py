"""How often a request of this thread may be sent again after a failure.

Where another model stands ready, waiting for this one's server to recover loses time: then its requests are sent once.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class _Current(threading.local):
    """What holds for the requests of this thread."""

    most: int | None = None


_current = _Current()


def with_retries(most: int | None, step: Callable[[], T]) -> T:
    """Return what `step` returns, whose requests in this thread are sent again at most `most` times; None: as often as
    each client does by itself. A step, and no block around the steps of a generator: between two of them the thread
    sends other requests."""
    before, _current.most = _current.most, most
    try:
        return step()
    finally:
        _current.most = before


def may_wait() -> bool:
    """Whether a request that is sent now may wait for its server: no other stands ready."""
    return _current.most is None


def retries_allowed(own: int) -> int:
    """How often a request that is sent now may be sent again. own: how often its client does it by itself."""
    return own if _current.most is None else min(own, _current.most)
