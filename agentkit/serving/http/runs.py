"""Runs answers in worker threads, and passes their events to the event loop."""

import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable

from agentkit._threads import WORKERS
from agentkit.errors import Remade
from agentkit.event import Event
from agentkit.net.abort import AbortingEvent
from agentkit.serving.chat_service import ChatService, process_user_input_with_llm
from agentkit.serving.exchange import Answer, UserInput
from agentkit.serving.http.updates import Ending, Update, Updates

POLL_SECONDS = 0.5
"""Interval in seconds between checks whether the client is still connected."""

KEEPALIVE_SECONDS = 10.0
"""Seconds without an event after which a keep-alive is sent, so that proxies do not close the idle stream."""


class TooManyRunsError(Exception):
    """The maximum number of concurrent answers is reached."""


class ClientDisconnectedError(Exception):
    """The client has disconnected before the answer was complete."""


class StoppingError(Remade, Exception):
    """The service stops before the answer is complete."""

    def __init__(self) -> None:
        super().__init__("the service is stopping; send the request again")


class _Unread:
    """Tells of the answer that a reader has left before it, once, in whatever thread notices. on_left: called with it;
    None: nobody is told."""

    def __init__(self, on_left: Callable[[Answer], object] | None) -> None:
        self._on_left = on_left
        self._lock = threading.Lock()
        self._answer: Answer | None = None
        self._has_left = False

    def arrive(self, answer: Answer) -> None:
        """The answer is made."""
        with self._lock:
            self._answer = answer
        self._tell()

    def read(self) -> None:
        """The reader gets the answer."""
        self._on_left = None

    def leave(self) -> None:
        """The reader reads no more."""
        self._has_left = True
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            if not self._has_left or self._answer is None:
                return
            on_left, self._on_left = self._on_left, None
        if on_left is not None:
            on_left(self._answer)


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
        self._followed: dict[threading.Event, Updates | Ending] = {}
        self._stops = False
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

    async def answer(
        self,
        user_input: UserInput,
        is_disconnected: Callable[[], Awaitable[bool]],
        on_left: Callable[[Answer], object] | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> Answer:
        """Return the answer. on_left: see `follow`. on_event: called with the events of the run, in its thread. Raises
        what `process_user_input_with_llm` raises, TooManyRunsError when `max_runs` is reached, StoppingError, and
        ClientDisconnectedError."""
        cancel, unread, ending = AbortingEvent(), _Unread(on_left), Ending(on_event)
        self._begin(user_input, cancel, ending, unread)
        self._followed[cancel] = ending
        try:
            while (end := await ending.wait(POLL_SECONDS)) is None:
                if await is_disconnected():
                    raise ClientDisconnectedError
            if isinstance(end, BaseException):
                raise end
        except BaseException:
            cancel.set()
            unread.leave()
            raise
        finally:
            del self._followed[cancel]
        unread.read()
        return end

    async def follow(
        self,
        user_input: UserInput,
        is_disconnected: Callable[[], Awaitable[bool]],
        on_left: Callable[[Answer], object] | None = None,
        cancel: AbortingEvent | None = None,
    ) -> AsyncGenerator[Update, None]:
        """Yield the events of a run, and finally the answer; None is a keep-alive. When the client disconnects, the run
        is cancelled and the generator ends without an answer; what has become of it by then is told to `on_left`, in
        any thread. cancel: set it to stop the run; its answer is what came of it. Raises what
        `process_user_input_with_llm` raises, TooManyRunsError when `max_runs` is reached, and StoppingError."""
        cancel, unread = cancel or AbortingEvent(), _Unread(on_left)
        updates = Updates(cancel.is_set, lambda: len(self._followed))
        self._begin(user_input, cancel, updates, unread)
        self._followed[cancel] = updates
        polled_at = sent_at = time.monotonic()
        try:
            while True:
                for update in await updates.take(POLL_SECONDS) or [None]:
                    if isinstance(update, BaseException):
                        raise update
                    if isinstance(update, Answer):
                        unread.read()
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
            unread.leave()
            del self._followed[cancel]

    def _begin(self, user_input: UserInput, cancel: AbortingEvent, updates: Updates | Ending, unread: _Unread) -> None:
        if self._stops:
            raise StoppingError
        if self.is_full:
            raise TooManyRunsError(f"the maximum of {self._max_runs} concurrent answers is reached; try again later")

        def on_wait(is_waiting: bool) -> None:
            if not is_waiting:
                self._waiting.discard(cancel)
            elif len(self._waiting) >= self._max_runs * WAITING_FACTOR:
                raise TooManyRunsError(
                    f"{len(self._waiting)} messages wait for others of their sessions; try again later"
                )
            else:
                self._waiting.add(cancel)

        streams = isinstance(updates, Updates)

        def made() -> Answer:
            return process_user_input_with_llm(self._service, user_input, updates.put, cancel, on_wait, streams)

        def work() -> None:
            try:
                answer = cancel.within(made)
                unread.arrive(answer)
                updates.add(answer)
            except BaseException as error:  # noqa: BLE001 - raised again by the consumer
                updates.add(error)
            finally:
                self._cancels.discard(cancel)
                self.on_count(self.count)

        self._cancels.add(cancel)
        self.on_count(self.count)
        WORKERS.submit(work)

    def stop(self) -> None:
        """Cancel all runs, and raise StoppingError from `answer` and `follow`, now and later. In the event loop."""
        self._stops = True
        for cancel, updates in self._followed.items():
            updates.add(StoppingError())
            cancel.set()

    def close(self, seconds: float = 5.0) -> None:
        """Cancel all runs, and wait up to `seconds` for them to end; a tool that hangs is abandoned."""
        for cancel in list(self._cancels):
            cancel.set()
        end = time.monotonic() + seconds
        while self._cancels and time.monotonic() < end:
            time.sleep(0.02)
