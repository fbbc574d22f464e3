"""Cancellation of a reply at any point: while the backend connects, waits for the first byte, streams, or backs off.

The reply is requested in the thread that runs the agent, and when the run is to stop its request is aborted by a
watcher: whatever it waits for ends then, and the server stops, since its connection is closed. A backend that may wait
for something else, such as one of the user's own, runs in a thread, which is left; its deltas arrive through a queue.
"""

import functools
import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from queue import Empty, SimpleQueue
from typing import Any

from agentkit._forking import check_same_process
from agentkit._threads import POLL_INTERVAL, WORKERS
from agentkit.backend import Backend, ReplyStream, Request
from agentkit.middleware.base import Middleware, stops_on_abort
from agentkit.net.abort import AbortableRequest, Aborted, AbortingEvent, stop_on_abort
from agentkit.net.watcher import WATCHER, Watched
from agentkit.tooling.closing import Closing

_END = object()

READ_AHEAD = 256
"""How many deltas may wait in the queue. Then the reply is read on only as the run takes them: one that nobody takes
costs no memory, and fast ones do not take all the time of the process."""

ROOM_INTERVAL = 0.005
"""Seconds between two checks whether there is room in the queue."""


class Cancellable(Middleware):
    """Wraps any backend for one run. cancel: set it to stop. patience: returns the deadline (`time.monotonic()`) of a
    reply that is requested now; None is no limit. A stopped reply ends without a Reply. closing: with what another
    thread closes the run: then Aborted is raised."""

    def __init__(
        self,
        backend: Backend,
        cancel: threading.Event | None,
        patience: Callable[[], float | None],
        closing: Closing | None = None,
    ) -> None:
        super().__init__(backend)
        self._cancel = cancel
        self._closing = closing
        self._patience = patience

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        deadline = self._patience()
        if deadline is None and (self._cancel is None or self._is_aborted_by_itself()):
            return self._unlimited(request)
        return (self._watched if stops_on_abort(self.backend) else self._left)(request, deadline)

    def _is_aborted_by_itself(self) -> bool:
        """Whether the event that cancels the run aborts what this thread sends, and the backend ends then; not of a run
        that other threads may close, which abort nothing."""
        if self._closing is not None or not isinstance(self._cancel, AbortingEvent):
            return False
        return self._cancel.aborts_here and stops_on_abort(self.backend)

    def _watched(self, request: Request, deadline: float | None) -> ReplyStream:
        """The reply, in this thread; its request is aborted when the run is to stop."""
        process, running = os.getpid(), AbortableRequest()
        stop_on_abort(running.abort)  # of the request with which the run is closed
        watched = Watched(running, deadline, None if self._cancel is None else self._is_stopped)
        WATCHER.add(watched)
        try:
            with closing(self.backend.reply(request)) as deltas:
                step = functools.partial(running.within, functools.partial(next, deltas, _END))
                while not self._is_over(deadline):
                    check_same_process(process)
                    delta = step()
                    if delta is _END:
                        return
                    if running.is_aborted:
                        break
                    yield delta
                running.abort()  # before it is closed: nothing of it is waited for
        except GeneratorExit:
            running.abort()
            raise
        except (Exception, Aborted):
            if not running.is_aborted:
                raise
        finally:
            WATCHER.remove(watched)
            running.within(running.__exit__)  # its connection may be another's from now on
        if self._is_closed:
            raise Aborted

    def _left(self, request: Request, deadline: float | None) -> ReplyStream:
        """The reply, in a thread that is left when the run is to stop."""
        running = _CancellableReply(self.backend, request)
        WORKERS.submit(running.work)
        try:
            while not self._is_over(deadline):
                check_same_process(running.process)
                try:
                    delta = running.deltas.get(timeout=_poll_timeout(deadline))
                except Empty:
                    continue
                if delta is _END:
                    return
                if isinstance(delta, BaseException):
                    raise delta
                yield delta
        finally:
            running.abandon()
        if self._is_closed:
            raise Aborted

    @property
    def _is_closed(self) -> bool:
        return self._closing is not None and self._closing.is_closed

    def _unlimited(self, request: Request) -> ReplyStream:
        """The reply, in this thread; whoever closes or cancels the run aborts its request."""
        try:
            yield from self.backend.reply(request)
        except (Exception, Aborted):
            if self._is_closed:
                raise Aborted from None  # what has failed was aborted: it is no failure of the run
            if not self._is_stopped():
                raise

    def _is_stopped(self) -> bool:
        return self._is_closed or (self._cancel is not None and self._cancel.is_set())

    def _is_over(self, deadline: float | None) -> bool:
        return self._is_stopped() or (deadline is not None and time.monotonic() >= deadline)


class _CancellableReply:
    """One reply, requested in another thread."""

    def __init__(self, backend: Backend, request: Request) -> None:
        self.deltas: SimpleQueue[Any] = SimpleQueue()
        self.is_abandoned = threading.Event()
        self.process = os.getpid()
        self.backend = backend
        self._request = request
        self._connection = AbortableRequest()

    def abandon(self) -> None:
        """Stop the reply and close its connection, unless it has ended."""
        self.is_abandoned.set()
        self._connection.abort()

    def work(self) -> None:
        """Put the deltas into the queue, until the last one or until the reply is abandoned."""
        try:
            with self._connection, closing(self.backend.reply(self._request)) as deltas:
                for delta in deltas:
                    if self.is_abandoned.is_set():
                        return
                    self.deltas.put(delta)
                    while self.deltas.qsize() >= READ_AHEAD and not self.is_abandoned.wait(ROOM_INTERVAL):
                        pass
            self.deltas.put(_END)
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            self.deltas.put(error)


def _poll_timeout(deadline: float | None) -> float:
    return POLL_INTERVAL if deadline is None else max(0.0, min(POLL_INTERVAL, deadline - time.monotonic()))
