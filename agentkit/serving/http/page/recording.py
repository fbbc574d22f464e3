"""The frames of an answer in progress, for any number of readers, each at its own pace."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from agentkit.errors import AgentkitError
from agentkit.serving.http.runs import KEEPALIVE_SECONDS

MAX_BYTES = 2_000_000
"""How much is kept of one answer, as it is sent: beyond that its oldest frames go."""

DROPPED = 0.25
"""The part of it that goes at once."""

PIECE = 4_000
"""Characters up to which pieces of a text that follow one another become one frame."""

TEXTS = ("content", "reasoning")

Frames = AsyncGenerator[dict[str, Any] | None, None]
"""Those of an answer; None is a keep-alive."""


class SlowReaderError(AgentkitError):
    """What a reader would have read next is not kept any more."""

    def __init__(self) -> None:
        super().__init__("this client reads more slowly than the answer is written: join it again, or get the history")


class StoppedBeforeError(AgentkitError):
    """A message was stopped before its answer had begun: nothing of it is kept."""

    def __init__(self) -> None:
        super().__init__("the message was stopped before its answer had begun, and is not kept: send it again")


class Recording:
    """The frames of one answer from its beginning. It belongs to the event loop.

    A reader that comes late gets the same texts in fewer pieces. max_bytes: see MAX_BYTES. error: with which the answer
    has ended. is_told: whether a reader was told of it.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._frames: list[dict[str, Any]] = []
        self._sizes: list[int] = []
        self._size = 0
        self._first = 0  # the number of the first frame that is kept
        self._changed = asyncio.Event()
        self.has_ended = False
        self.error: Exception | None = None
        self.is_told = False

    @property
    def has_begun(self) -> bool:
        """Whether there is a frame."""
        return bool(self._frames)

    @property
    def was_cut(self) -> bool:
        """Whether the beginning is not kept."""
        return self._first > 0

    async def record(self, frames: Frames) -> None:
        """Add frames as they come, but for keep-alives."""
        async with aclosing(frames):
            async for frame in frames:
                if frame is not None:
                    self.add(frame)

    def add(self, frame: dict[str, Any]) -> None:
        """Add a frame."""
        size = len(json.dumps(frame))
        if self._frames and (longer := _joined(self._frames[-1], frame)) is not None:
            self._frames[-1] = longer
            self._sizes[-1] += size
        else:
            self._frames.append(frame)
            self._sizes.append(size)
        self._size += size
        if self._size > self._max_bytes:
            self._drop()
        self._wake()

    def end(self, error: Exception | None = None) -> None:
        """The answer has ended. error: what every reader is told."""
        self.has_ended, self.error = True, error
        self._wake()

    async def read(self) -> Frames:
        """Yield all frames that are kept, then those to come; None is a keep-alive. Raises the error with which the
        answer has ended, SlowReaderError."""
        place, told = self._first, 0
        while True:
            changed = self._changed
            frame, place, told = self._next(place, told)
            if frame is not None:
                yield frame
            elif self.has_ended:
                break
            elif not await _came(changed):
                yield None
        if self.error is not None:
            self.is_told = True
            raise self.error

    def _next(self, place: int, told: int) -> tuple[dict[str, Any] | None, int, int]:
        """What comes next, None for nothing yet, and where a reader stands then. told: how many characters of the text
        at `place` it has."""
        if place < self._first:
            raise SlowReaderError
        begin = place - self._first
        frames = self._frames[begin : begin + 2]
        for number, frame in enumerate(frames, place):
            kind = _text_kind(frame)
            if kind is None:
                return frame, number + 1, 0
            text = frame[kind]
            if len(text) > told:
                return {**frame, kind: text[told:]}, number, len(text)
            if number + 1 == self._first + len(self._frames):
                return None, number, told  # it may become longer
            told = 0
        return None, place + len(frames), 0

    def _drop(self) -> None:
        """Let the oldest frames go, some at once, since that takes time for each that is left."""
        count = 0
        while self._size > self._max_bytes * (1 - DROPPED) and count < len(self._frames) - 1:
            self._size -= self._sizes[count]
            count += 1
        del self._frames[:count], self._sizes[:count]
        self._first += count

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def _came(event: asyncio.Event) -> bool:
    """Wait for an event; returns whether it came before a keep-alive is due."""
    try:
        async with asyncio.timeout(KEEPALIVE_SECONDS):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _text_kind(frame: dict[str, Any]) -> str | None:
    return next((kind for kind in TEXTS if kind in frame), None)


def _joined(last: dict[str, Any], frame: dict[str, Any]) -> dict[str, Any] | None:
    """Two pieces of a text as one; None for other frames, and for texts that are long enough."""
    kind = _text_kind(frame)
    if kind is None or last.keys() != frame.keys() or len(last[kind]) >= PIECE:
        return None
    return {**frame, kind: last[kind] + frame[kind]}
