"""Waiting in the thread of a request in a way that ends when the request is aborted."""

import threading

from agentkit.net.abort import Aborted, is_aborted, stop_on_abort


def pause(seconds: float) -> None:
    """Sleep. Raises Aborted as soon as the request of this thread is aborted."""
    if seconds <= 0:
        return
    woken = threading.Event()
    stop_on_abort(woken.set)
    if woken.wait(seconds) and is_aborted():
        raise Aborted
