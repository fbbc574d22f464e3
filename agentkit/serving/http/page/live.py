"""Answers that belong to the service: they go on when their clients leave, and any number of clients may follow one."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

from starlette.concurrency import run_in_threadpool

from agentkit.errors import SessionBusyError, SessionError
from agentkit.net.abort import AbortingEvent
from agentkit.serving.exchange import Answer, UserInput
from agentkit.serving.http.page.announcements import Announcements
from agentkit.serving.http.page.recording import Frames, Recording, StoppedBeforeError
from agentkit.serving.http.page.turns import question_record
from agentkit.serving.http.runs import POLL_SECONDS, ClientDisconnectedError, StoppingError
from agentkit.session import Sessions

WATCH_SECONDS = 1.0
"""How often it is looked whether another worker wants an answer stopped."""

STOP_SECONDS = 3.0
"""How long whoever stops an answer waits for its end."""

STOPPED_SECONDS = 30.0
"""How long it is remembered that a message was stopped that has not come yet."""

MAX_STOPPED = 1000
"""Maximum number of such messages."""


async def stays() -> bool:
    """What a run is told that asks whether its client has left."""
    return False


class LiveAnswer:
    """One answer in progress. user_input: what it answers. cancel: set it to stop it. answer: once it is made."""

    def __init__(self, user_input: UserInput) -> None:
        self.user_input = user_input
        self.cancel = AbortingEvent()
        self.answer: Answer | None = None
        self.recording = Recording()
        self.id = secrets.token_hex(8)
        self.waiting = 0  # how many wait for it as a whole, and are told how it ends
        self.task: asyncio.Task[None] | None = None

    @property
    def key(self) -> str:
        """Of its session in the store."""
        return self.user_input.session or ""

    def is_of(self, user_input: UserInput) -> bool:
        """Whether this is the answer to a request that is sent again."""
        is_same = bool(user_input.request_id) and user_input.request_id == self.user_input.request_id
        return is_same and user_input.sent == self.user_input.sent

    async def whole(self, is_disconnected: Callable[[], Awaitable[bool]]) -> Answer:
        """Return the answer when it is made. Raises the error with which it ends, ClientDisconnectedError."""
        assert self.task is not None
        self.waiting += 1
        try:
            while not self.task.done():
                await asyncio.wait((self.task,), timeout=POLL_SECONDS)
                if not self.task.done() and await is_disconnected():
                    raise ClientDisconnectedError
        finally:
            self.waiting -= 1
        if self.answer is None:
            raise self.recording.error or StoppingError
        return self.answer

    async def joined(self) -> Frames:
        """Yield what is answered, and then what `Recording.read` yields."""
        cut = {"was_cut": True} if self.recording.was_cut else {}
        question = question_record(self.user_input)
        yield {"question": None if question is None else {**question, **cut}}
        async with aclosing(self.recording.read()) as frames:
            async for frame in frames:
                yield frame


class LiveAnswers:
    """The answers of this worker that belong to the service. It belongs to the event loop, but for `is_live` and
    `running`, which any thread may ask."""

    def __init__(self, sessions: Sessions) -> None:
        self._announcements = Announcements(sessions)
        self._live: dict[str, list[LiveAnswer]] = {}
        self._stopped: dict[tuple[str, str], float] = {}
        self._watcher: asyncio.Task[None] | None = None

    def begin(
        self,
        user_input: UserInput,
        frames: Callable[[LiveAnswer], Frames],
        on_unread: Callable[[Exception], object],
    ) -> LiveAnswer:
        """Return the answer to a message of a session: the one in progress where the request is sent again, else a new
        one. frames: makes its frames. on_unread: called with the error with which it ends when nobody reads it."""
        found = next((each for each in self._live.get(user_input.session or "", ()) if each.is_of(user_input)), None)
        if found is not None:
            return found
        made = LiveAnswer(user_input)
        if self._was_stopped(made.key, user_input.request_id):
            made.cancel.set()
        self._live.setdefault(made.key, []).append(made)
        made.task = asyncio.create_task(self._run(made, frames(made), on_unread))
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        return made

    def in_progress(self, key: str) -> LiveAnswer | None:
        """The answer of a session that is in progress, None for none; not one that waits for another."""
        answers = self._live.get(key, [])
        return next((each for each in answers if each.recording.has_begun), answers[0] if answers else None)

    def is_live(self, key: str) -> bool:
        """Whether a session has an answer in progress in this worker."""
        return key in self._live

    def running(self, keys: str) -> set[str]:
        """The sessions with an answer in progress, in any worker. keys: how their keys begin. Raises SessionError."""
        own = {key for key in list(self._live) if key.startswith(keys)}
        return own | self._announcements.running(keys)

    async def stop(self, key: str) -> bool:
        """Stop the answers of a session, in any worker, also those that begin meanwhile, and wait up to STOP_SECONDS
        for their end. Returns whether none is in progress any more. Raises SessionError."""
        end = time.monotonic() + STOP_SECONDS
        while True:
            await self._cancel(list(self._live.get(key, ())), max(0.0, end - time.monotonic()))
            await run_in_threadpool(self._announcements.stop, key)
            if not await run_in_threadpool(self.running, key):
                return True
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.1)

    def stop_when_it_comes(self, key: str, request_id: str) -> None:
        """Stop a message of a session at once that begins in this worker in the next STOPPED_SECONDS. request_id: that
        of its request, which has not begun yet."""
        if not any(each.user_input.request_id == request_id for each in self._live.get(key, ())):
            self._stopped[key, request_id] = time.monotonic() + STOPPED_SECONDS
            while len(self._stopped) > MAX_STOPPED:
                del self._stopped[next(iter(self._stopped))]

    def _was_stopped(self, key: str, request_id: str) -> bool:
        """Whether a message was stopped before it came: once, so that it can be sent again."""
        return self._stopped.pop((key, request_id), 0.0) > time.monotonic()

    async def finish(self, seconds: float) -> None:
        """Wait for the end of all answers, then stop them. seconds: how long to wait; a seventh of it more until they
        have stopped."""
        tasks = {each.task for answers in self._live.values() for each in answers if each.task is not None}
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        await self._cancel([each for answers in self._live.values() for each in answers], seconds / 7)
        if self._watcher is not None:
            self._watcher.cancel()

    async def _cancel(self, answers: list[LiveAnswer], seconds: float) -> None:
        for each in answers:
            each.cancel.set()
        if tasks := [each.task for each in answers if each.task is not None]:
            await asyncio.wait(tasks, timeout=seconds)

    async def _run(self, answer: LiveAnswer, frames: Frames, on_unread: Callable[[Exception], object]) -> None:
        """Record the frames of an answer until it ends, whatever happens."""
        announcing = asyncio.create_task(run_in_threadpool(self._announcements.put, answer.key, answer.id))
        error: Exception | None = StoppingError()  # where the event loop ends
        try:
            await answer.recording.record(frames)
            error = None
        except SessionBusyError as problem:
            error = StoppedBeforeError() if answer.cancel.is_set() else problem
        except Exception as problem:  # noqa: BLE001 - raised again to whoever reads
            error = problem
        finally:
            answer.recording.end(error)
            self._remove(answer)
        with suppress(SessionError):
            await announcing
            await run_in_threadpool(self._announcements.remove, answer.key, answer.id)
        if error is not None and not (answer.recording.is_told or answer.waiting):
            on_unread(error)

    def _remove(self, answer: LiveAnswer) -> None:
        left = [each for each in self._live[answer.key] if each is not answer]
        if left:
            self._live[answer.key] = left
        else:
            del self._live[answer.key]

    async def _watch(self) -> None:
        """Stop what other workers want stopped, as long as there are answers."""
        while self._live:
            await asyncio.sleep(WATCH_SECONDS)
            with suppress(SessionError):
                stopped = await run_in_threadpool(self._announcements.stopped)
                self._stop_all(stopped)

    def _stop_all(self, ids: set[str]) -> None:
        for each in (each for answers in self._live.values() for each in answers):
            if each.id in ids:
                each.cancel.set()
