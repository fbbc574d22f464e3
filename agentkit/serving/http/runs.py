"""Answers in threads, so that many are worked on at once; what happens in them is told to the event loop."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

from agentkit._threads import WORKERS
from agentkit.event import Event, TextDelta
from agentkit.serving.chat_service import ChatService, process_user_input_with_llm
from agentkit.serving.exchange import Answer, UserInput

LOOK = 0.5
"""Seconds after which is looked whether the client is still there."""

IDLE = 10.0
"""Seconds without an event after which a sign of life is told, so that nothing between takes the stream for dead."""

Told = Event | Answer | None


class TooManyError(Exception):
    """As many answers as the service bears are worked on."""


class GoneError(Exception):
    """The client has left: nobody waits for the answer."""


class Runs:
    """At most `max_runs` answers at once; one more is refused."""

    def __init__(self, answerer: ChatService, max_runs: int) -> None:
        self._answerer = answerer
        self._max_runs = max_runs
        self._cancels: set[threading.Event] = set()
        self.changed: Callable[[int], object] = lambda count: None
        """Told how many are worked on, when that changes."""

    @property
    def count(self) -> int:
        """How many are worked on."""
        return len(self._cancels)

    @property
    def is_full(self) -> bool:
        """Whether one more would be refused."""
        return self.count >= self._max_runs

    async def answer(self, asked: UserInput, is_gone: Callable[[], Awaitable[bool]]) -> Answer:
        """The answer. Raises what `process_user_input_with_llm` raises, TooManyError, and GoneError."""
        async with contextlib.aclosing(self.follow(asked, is_gone)) as told:
            async for each in told:
                if isinstance(each, Answer):
                    return each
        raise GoneError

    async def follow(self, asked: UserInput, is_gone: Callable[[], Awaitable[bool]]) -> AsyncGenerator[Told, None]:
        """What happens, and at last the answer; None is a sign of life. It ends without one when the client is gone,
        and with it the run. Raises what `process_user_input_with_llm` raises, and TooManyError."""
        cancel, queue = threading.Event(), asyncio.Queue[Told | BaseException]()
        self._begin(asked, cancel, queue)
        looked = heard = time.monotonic()
        try:
            with _ticking(queue):
                while True:
                    for got in joined(await _all(queue)):
                        if isinstance(got, BaseException):
                            raise got
                        if got is not None or time.monotonic() - heard >= IDLE:
                            heard = time.monotonic()
                            yield got
                        if isinstance(got, Answer):
                            return
                    if time.monotonic() - looked >= LOOK:
                        looked = time.monotonic()
                        if await is_gone():
                            return
        finally:
            cancel.set()

    def _begin(self, asked: UserInput, cancel: threading.Event, queue: "asyncio.Queue[Told | BaseException]") -> None:
        if self.is_full:
            raise TooManyError(f"{self._max_runs} answers are worked on already")
        loop = asyncio.get_running_loop()

        def tell(what: Told | BaseException) -> None:
            with contextlib.suppress(RuntimeError):  # the service is being stopped
                loop.call_soon_threadsafe(queue.put_nowait, what)

        def work() -> None:
            try:
                tell(process_user_input_with_llm(self._answerer, asked, tell, cancel))
            except BaseException as error:  # noqa: BLE001 - it is raised where the answer is waited for
                tell(error)
            finally:
                self._cancels.discard(cancel)
                self.changed(self.count)

        self._cancels.add(cancel)
        self.changed(self.count)
        WORKERS.submit(work)

    def close(self, seconds: float = 5.0) -> None:
        """Stop what is worked on, and wait so long for its end; a tool that hangs is not waited for longer."""
        for cancel in list(self._cancels):
            cancel.set()
        end = time.monotonic() + seconds
        while self._cancels and time.monotonic() < end:
            time.sleep(0.02)


@contextlib.contextmanager
def _ticking(queue: "asyncio.Queue[Told | BaseException]") -> Iterator[None]:
    """Put None into a queue from time to time."""
    loop = asyncio.get_running_loop()
    handles: list[asyncio.TimerHandle] = []

    def tick() -> None:
        queue.put_nowait(None)
        handles[:] = [loop.call_later(LOOK, tick)]

    handles.append(loop.call_later(LOOK, tick))
    try:
        yield
    finally:
        handles[0].cancel()


async def _all(queue: "asyncio.Queue[Told | BaseException]") -> list[Told | BaseException]:
    """What is in a queue, at least one."""
    found = [await queue.get()]
    while not queue.empty():
        found.append(queue.get_nowait())
    return found


def joined(told: list[Told | BaseException]) -> Iterator[Told | BaseException]:
    """The same, with neighbouring pieces of text in one: a busy service sends fewer and larger ones."""
    text = ""
    for each in told:
        if isinstance(each, TextDelta):
            text += each.text
            continue
        if text:
            yield TextDelta(text)
            text = ""
        yield each
    if text:
        yield TextDelta(text)
