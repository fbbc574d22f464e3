"""Server-sent events: a response as a stream of `data:` frames."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from fastapi.responses import StreamingResponse

FIRST_SECONDS = 2.0
"""Seconds to wait for the first frame, so that an early failure is reported by the HTTP status."""

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def frame(payload: Any) -> str:
    """Return one frame as text; None becomes a keep-alive comment."""
    if payload is None:
        return ": still here\n\n"
    text = payload if isinstance(payload, str) else json.dumps(payload)  # ASCII: a delta may split a surrogate pair
    return f"data: {text}\n\n"


def event_frame(payload: Any) -> str:
    """Return one frame of an event that has its name in the field `type`; None becomes a keep-alive comment."""
    return frame(payload) if payload is None else f"event: {payload['type']}\n{frame(payload)}"


async def streamed(
    frames: AsyncGenerator[Any, None],
    ending: Callable[[Exception | None], Sequence[Any]],
    write: Callable[[Any], str] = frame,
) -> StreamingResponse:
    """Return a streaming response. ending: returns the last frames, given the error or None. write: makes the text of
    a frame. Raises what `frames`
    raises within the first FIRST_SECONDS."""
    first = asyncio.ensure_future(anext(frames))
    done, _ = await asyncio.wait({first}, timeout=FIRST_SECONDS)
    if done and first.exception() and not isinstance(first.exception(), StopAsyncIteration):
        first.result()

    async def body() -> AsyncIterator[str]:
        error_raised: Exception | None = None
        async with aclosing(frames):
            try:
                yield write(await first)
                async for each in frames:
                    yield write(each)
            except StopAsyncIteration:  # no frame: the client has disconnected
                return
            except Exception as error:  # noqa: BLE001 - the status is sent: the stream reports the error
                error_raised = error
        for each in ending(error_raised):
            yield write(each)

    return StreamingResponse(body(), media_type="text/event-stream", headers=HEADERS)
