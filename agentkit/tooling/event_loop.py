"""The event loop on which all async tools of this process run.

A client, a lock or a task belongs to the loop on which it was first used. So each coroutine runs on one loop, in one
daemon thread that lives as long as the program: what a tool keeps between calls, or starts and leaves running, works
in every call and every run.

A coroutine that blocks (`time.sleep`, an agent that is run in it) stops all others on its loop. A call that can't begin
because of that begins on a further loop: at once where the call comes out of the blocking coroutine itself, which waits
for it, otherwise after PATIENCE. One that has begun ends with an error after BLOCKED_LIMIT.
"""

import asyncio
import atexit
import contextlib
import contextvars
import inspect
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from agentkit._forking import freed_by_forks, notice_fork, renewed_by_forks
from agentkit._lazy.logs import WARNING, logger_of
from agentkit._threads import SUBMITTERS
from agentkit.errors import ToolError
from agentkit.tooling.error_log import log_raised
from agentkit.tooling.green_loop import is_of_another_greenlet, new_loop
from agentkit.tooling.stop import Stop

logger = logger_of("agentkit")

PATIENCE = 10.0
"""Seconds for which a call waits for a loop that is blocked."""
BLOCKED_LIMIT = 300.0
"""Seconds after which a call that has begun on a blocked loop is given up."""
EXIT_SECONDS = 1.0
"""Seconds that tasks have at the end of the program to clean up after they are cancelled."""


class _Loop:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self._posted: deque[float] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_ending = False
        self.loop = new_loop()
        self.loop.set_task_factory(self._new_task)
        self._thread = threading.Thread(target=self._work, name="agentkit-async-tools", daemon=True)
        self._thread.start()

    @property
    def ident(self) -> int | None:
        """The id of the thread."""
        return self._thread.ident

    def post(self, callback: Callable[[], object], context: contextvars.Context | None = None) -> None:
        """Run a callback in the thread of the loop."""

        def run() -> None:
            self._posted.popleft()
            callback()

        self._posted.append(time.monotonic())
        self.loop.call_soon_threadsafe(run, context=context)

    def seconds_blocked(self) -> float:
        """For how long the loop has not come to what was posted."""
        try:
            return time.monotonic() - self._posted[0]
        except IndexError:
            return 0.0

    def end(self) -> None:
        """Cancel all tasks and close the loop; give up when it is blocked."""
        self._is_ending = True
        with contextlib.suppress(RuntimeError):  # it is closed
            self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(2 * EXIT_SECONDS)

    def _new_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> "asyncio.Task[Any]":
        """The loop itself keeps only weak references: a task that nobody awaits might vanish half done."""
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _work(self) -> None:
        asyncio.set_event_loop(self.loop)
        asyncio._set_running_loop(None)  # where this is a greenlet, one may run in another
        while not self._is_ending:
            try:
                self.loop.run_forever()
            except BaseException as error:  # noqa: BLE001 - of a task
                what = "the event loop of async tools is begun again after a task raised"
                log_raised(logger, WARNING, what, error)
        with contextlib.suppress(Exception):
            self.loop.run_until_complete(self._cleaned_up())
        self.loop.close()

    async def _cleaned_up(self) -> None:
        others = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=EXIT_SECONDS)
        await self.loop.shutdown_asyncgens()


class _Loops:
    """The loops of this process: one, unless it is blocked."""

    def __init__(self) -> None:
        self._lock = freed_by_forks(threading.Lock())
        self._loops: list[_Loop] = []
        self._of_parent: list[_Loop] = []
        renewed_by_forks(self)

    def renew_in_child(self) -> None:
        """In a child: begin without loops. The parent's are not closed, since that would change its selectors."""
        self._of_parent, self._loops = [*self._of_parent, *self._loops], []

    def free(self) -> _Loop:
        """A loop that this thread may wait for: the first that is blocked neither by a thread that waits for this one
        nor for long."""
        notice_fork()
        waiting = {threading.get_ident(), *SUBMITTERS.get()}
        with self._lock:
            for each in self._loops:
                if each.ident not in waiting and each.seconds_blocked() < PATIENCE:
                    return each
            self._loops.append(_Loop())
            return self._loops[-1]

    def of(self, loop: asyncio.AbstractEventLoop) -> _Loop | None:
        """The one with this event loop."""
        return next((each for each in self._loops if each.loop is loop), None)

    def end(self) -> None:
        """End all loops."""
        with self._lock:
            ended, self._loops = self._loops, []
        for each in ended:
            each.end()


_LOOPS = _Loops()
atexit.register(_LOOPS.end)


class _Call:
    """An awaitable that runs on a loop while a thread waits for its result."""

    def __init__(self, awaitable: Awaitable[Any], stop: Stop) -> None:
        self._awaitable = awaitable
        self._stop = stop
        self._lock = threading.Lock()
        self._attempt = 0
        self._begun = threading.Event()
        self._ended = threading.Event()
        self._task: asyncio.Task[None] | None = None
        self._loop: _Loop | None = None
        self._result: tuple[Any, BaseException | None] = (None, None)

    def begin(self, on: _Loop | None) -> None:
        """Start it on a loop; None for any that is free."""
        while True:
            loop = on or _LOOPS.free()
            self._attempt += 1
            attempt = self._attempt
            loop.post(lambda loop=loop, attempt=attempt: self._begin(loop, attempt), contextvars.copy_context())  # type: ignore[misc]
            if self._stop.wait(self._begun.wait, PATIENCE):
                return
            if on is None:
                logger.warning("an async tool blocks the event loop: %s begins on another", self._stop.name)
                with self._lock:
                    self._attempt += 1

    def _begin(self, loop: _Loop, attempt: int) -> None:
        with self._lock:
            if attempt == self._attempt:
                self._loop = loop
                self._task = loop.loop.create_task(self._run(), name=self._stop.name)
                self._begun.set()

    async def _run(self) -> None:
        try:
            self._result = (await self._awaitable, None)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._result = (None, error)
        self._ended.set()

    def result(self) -> Any:
        """Wait for it. Raises what it raises, and ToolError when the loop is blocked by another."""
        loop = self._loop
        assert loop is not None
        while not self._stop.wait(self._ended.wait, BLOCKED_LIMIT / 4):
            current = asyncio.current_task(loop.loop)
            if loop.seconds_blocked() > BLOCKED_LIMIT and current is not self._task:
                blocker = "another tool" if current is None else current.get_name()
                raise ToolError(
                    f"{self._stop.name} did not finish: {blocker} blocks the event loop of the async tools; whether it "
                    "had an effect is not known."
                )
            loop.post(lambda: None)
        value, error = self._result
        if error is None:
            return value
        try:
            raise error
        finally:
            del error, self  # the traceback holds this frame

    def withdraw(self) -> None:
        """Cancel it; nobody waits for what it does then."""
        with self._lock:
            self._attempt += 1
            task, loop = self._task, self._loop
        if task is not None and loop is not None:
            if not self._ended.is_set():
                loop.post(task.cancel)
        elif inspect.iscoroutine(self._awaitable):
            self._awaitable.close()  # no warning that it was never awaited


def result_of(awaitable: Awaitable[Any], stop: Stop) -> Any:
    """Run a coroutine on the loop of the async tools and wait for its result; a future or task is waited for on its own
    loop. Raises what it raises, and ToolError when the wait is over before, after which it is cancelled."""
    on = None
    if isinstance(awaitable, asyncio.Future):
        if awaitable.done():
            return awaitable.result()
        on = _LOOPS.of(awaitable.get_loop())
        if on is None:
            return _foreign_result(awaitable, stop)
    call = _Call(awaitable, stop)
    try:
        call.begin(on)
        return call.result()
    except BaseException:
        call.withdraw()
        raise


def _foreign_result(future: "asyncio.Future[Any]", stop: Stop) -> Any:
    loop = future.get_loop()
    if loop.is_closed() or loop is getattr(_HIDDEN, "loop", None):
        raise RuntimeError(
            "it returned a task of an event loop that can't run now, since that waits for this call: return the "
            "coroutine instead of a task"
        )
    if not loop.is_running():
        return loop.run_until_complete(future)

    async def wait() -> Any:
        return await future

    return stop.result_of(asyncio.run_coroutine_threadsafe(wait(), loop))


_HIDDEN = threading.local()


@contextlib.contextmanager
def without_running_loop() -> Iterator[None]:
    """Hide the event loop that runs in this thread (in a notebook, or in an async function that runs an agent), so that
    a tool may call `asyncio.run` there as anywhere."""
    loop = asyncio._get_running_loop()
    if loop is not None and is_of_another_greenlet(loop):
        yield
        return
    # From Python 3.12 on: a loop begins no task while another is current in its thread.
    swap: Callable[[Any, Any], Any] = getattr(asyncio.tasks, "_swap_current_task", lambda loop, task: None)
    task, before = swap(loop, None), getattr(_HIDDEN, "loop", None)
    asyncio._set_running_loop(None)
    _HIDDEN.loop = loop
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)
        swap(loop, task)
        _HIDDEN.loop = before
