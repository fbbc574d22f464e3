"""Which session is held by the run that waits for the tool call of this thread: whoever waits for it there waits for
itself."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from agentkit._lazy.records import dataclass


@dataclass(frozen=True)
class _Call:
    """A call for which a run waits. store, session: of the run. thread: in which it is made. is_over: whether the run
    waits no longer."""

    store: object
    session: str
    thread: int
    is_over: Callable[[], bool]


_CALL: ContextVar[_Call | None] = ContextVar("call_of_a_session", default=None)


@contextmanager
def calling(store: object, session: str, is_over: Callable[[], bool]) -> Iterator[None]:
    """A call of a tool is made here, by a run of this session. See `_Call`."""
    token = _CALL.set(_Call(store, session, threading.get_ident(), is_over))
    try:
        yield
    finally:
        _CALL.reset(token)


def waits_for_itself(store: object, session: str) -> bool:
    """Whether a session is held until the call that is made in this thread has ended. What a tool has begun in another
    thread may wait for the end of the run."""
    call = _CALL.get()
    if call is None or call.thread != threading.get_ident():
        return False
    return call.store is store and call.session == session and not call.is_over()
