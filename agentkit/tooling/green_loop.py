"""An event loop in a program whose threads are greenlets (gevent, eventlet).

The running event loop is a variable of the system's thread, in which all greenlets run. One that is seen there while
its greenlet waits stops the others: Django's ORM refuses to work, `asyncio.run` too (django/asgiref#443,
celery/celery#7465).
"""

import asyncio
import selectors
import threading


def new_loop() -> asyncio.AbstractEventLoop:
    """A new event loop, for a thread of its own."""
    if not threads_are_greenlets():
        return asyncio.new_event_loop()
    selector = selectors.DefaultSelector()
    loop, select, seen = asyncio.SelectorEventLoop(selector), selector.select, asyncio._get_running_loop()

    def select_unseen(timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait; meanwhile the others see the loop that they saw before."""
        nonlocal seen
        asyncio._set_running_loop(seen)
        try:
            return select(timeout)
        finally:
            seen = asyncio._get_running_loop()
            asyncio._set_running_loop(loop)

    selector.select = select_unseen  # type: ignore[method-assign]
    return loop


def threads_are_greenlets() -> bool:
    """Whether gevent or eventlet has put its own in the place of the functions of `threading`."""
    return threading.get_ident.__module__ != "_thread"


def is_of_another_greenlet(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop that is seen running in this thread runs in another greenlet of it."""
    return getattr(loop, "_thread_id", None) not in (None, threading.get_ident())
