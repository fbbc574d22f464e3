"""Runs answers in worker threads, and passes their events to the event loop."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

from agentkit._threads import WORKERS
from agentkit.event import Event, TextDelta
from agentkit.serving.chat_service import ChatService, process_user_input_with_llm
from agentkit.serving.exchange import Answer, UserInput

POLL_SECONDS = 0.5
"""Interval in seconds between checks whether the client is still connected."""

KEEPALIVE_SECONDS = 10.0
"""Seconds without an event after which a keep-alive is sent, so that proxies do not close the idle stream."""

Update = Event | Answer | None


class TooManyRunsError(Exception):
    """The maximum number of concurrent answers is reached."""


class ClientDisconnectedError(Exception):
    """The client has disconnected before the answer was complete."""


WAITING_FACTOR = 4
"""How many messages may wait for their sessions, for each answer that may be in progress."""


class Runs:
    """Generates up to `max_runs` answers concurrently; further ones are rejected.

    A message that waits for another one of its session is none of them, so that one busy session leaves room for the
    others; of those up to WAITING_FACTOR times as many are kept.
    """

    def __init__(self, service: ChatService, max_runs: int) -> None:
        self._service = service
        self._max_runs = max_runs
        self._cancels: set[threading.Event] = set()
        self._waiting: set[threading.Event] = set()
        self.on_count: Callable[[int], object] = lambda count: None
        """Called with the number of answers in progress when it changes."""

    @property
    def count(self) -> int:
        """Number of answers in progress, and of messages that wait for one."""
        return len(self._cancels)

    @property
    def is_full(self) -> bool:
        """Whether a further answer would be rejected."""
        return self.count - len(self._waiting) >= self._max_runs

    async def answer(self, user_input: UserInput, is_disconnected: Callable[[], Awaitable[bool]]) -> Answer:
        """Return the answer. Raises what `process_user_input_with_llm` raises, TooManyRunsError when `max_runs` is
        reached, and ClientDisconnectedError."""
        async with contextlib.aclosing(self.follow(user_input, is_disconnected)) as updates:
            async for each in updates:
                if isinstance(each, Answer):
                    return each
        raise ClientDisconnectedError

    async def follow(
        self, user_input: UserInput, is_disconnected: Callable[[], Awaitable[bool]]
    ) -> AsyncGenerator[Update, None]:
        """Yield the events of a run, and finally the answer; None is a keep-alive. When the client disconnects, the run
        is cancelled and the generator ends without an answer. Raises what `process_user_input_with_llm` raises, and
        TooManyRunsError when `max_runs` is reached."""
        cancel, queue = threading.Event(), asyncio.Queue[Update | BaseException]()
        self._begin(user_input, cancel, queue)
        polled_at = sent_at = time.monotonic()
        try:
            with _ticking(queue):
                while True:
                    for update in merged(await _drain(queue)):
                        if isinstance(update, BaseException):
                            raise update
                        if update is not None or time.monotonic() - sent_at >= KEEPALIVE_SECONDS:
                            sent_at = time.monotonic()
                            yield update
                        if isinstance(update, Answer):
                            return
                    if time.monotonic() - polled_at >= POLL_SECONDS:
                        polled_at = time.monotonic()
                        if await is_disconnected():
                            return
        finally:
            cancel.set()

    def _begin(
        self, user_input: UserInput, cancel: threading.Event, queue: "asyncio.Queue[Update | BaseException]"
    ) -> None:
        if self.is_full:
            raise TooManyRunsError(f"the maximum of {self._max_runs} concurrent answers is reached; try again later")
        loop = asyncio.get_running_loop()

        def send(item: Update | BaseException) -> None:
            with contextlib.suppress(RuntimeError):  # the event loop is closed: the service is shutting down
                loop.call_soon_threadsafe(queue.put_nowait, item)

        def on_wait(is_waiting: bool) -> None:
            if not is_waiting:
                self._waiting.discard(cancel)
            elif len(self._waiting) >= self._max_runs * WAITING_FACTOR:
                raise TooManyRunsError(
                    f"{len(self._waiting)} messages wait for others of their sessions; try again later"
                )
            else:
                self._waiting.add(cancel)

        def work() -> None:
            try:
                send(process_user_input_with_llm(self._service, user_input, send, cancel, on_wait))
            except BaseException as error:  # noqa: BLE001 - raised again by the consumer
                send(error)
            finally:
                self._cancels.discard(cancel)
                self.on_count(self.count)

        self._cancels.add(cancel)
        self.on_count(self.count)
        WORKERS.submit(work)

    def close(self, seconds: float = 5.0) -> None:
        """Cancel all runs, and wait up to `seconds` for them to end; a tool that hangs is abandoned."""
        for cancel in list(self._cancels):
            cancel.set()
        end = time.monotonic() + seconds
        while self._cancels and time.monotonic() < end:
            time.sleep(0.02)


@contextlib.contextmanager
def _ticking(queue: "asyncio.Queue[Update | BaseException]") -> Iterator[None]:
    """Put None into a queue every POLL_SECONDS."""
    loop = asyncio.get_running_loop()
    handles: list[asyncio.TimerHandle] = []

    def tick() -> None:
        queue.put_nowait(None)
        handles[:] = [loop.call_later(POLL_SECONDS, tick)]

    handles.append(loop.call_later(POLL_SECONDS, tick))
    try:
        yield
    finally:
        handles[0].cancel()


async def _drain(queue: "asyncio.Queue[Update | BaseException]") -> list[Update | BaseException]:
    """Return all items of a queue, waiting for at least one."""
    found = [await queue.get()]
    while not queue.empty():
        found.append(queue.get_nowait())
    return found


def merged(updates: list[Update | BaseException]) -> Iterator[Update | BaseException]:
    """Merge consecutive text deltas, so that a busy service sends fewer and larger frames."""
    text = ""
    for each in updates:
        if isinstance(each, TextDelta):
            text += each.text
            continue
        if text:
            yield TextDelta(text)
            text = ""
        yield each
    if text:
        yield TextDelta(text)
