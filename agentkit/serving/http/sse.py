"""Server-sent events: a response as a stream of `data:` frames."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from agentkit.serving.http.updates import Wakening

FIRST_SECONDS = 2.0
"""Seconds to wait for the first frame, so that an early failure is reported by the HTTP status."""

HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
"""What keeps proxies from holding back pieces of a stream: to compress them, or to send more at once."""


class EventStream(StreamingResponse):
    """A stream that is sent by the task of its request; another one waits for the client to leave. Starlette's takes
    two tasks, and a group with its cancel scopes."""

    def __init__(self, content: AsyncIterator[str | bytes]) -> None:
        super().__init__(content, media_type="text/event-stream", headers=HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See Starlette's `Response`."""
        sending = asyncio.current_task()
        assert sending is not None
        leaving = asyncio.ensure_future(_left(receive))
        leaving.add_done_callback(lambda left: left.cancelled() or sending.cancel())
        try:
            await self.stream_response(send)
        except asyncio.CancelledError:
            if not leaving.done() or sending.uncancel():
                raise
        finally:
            leaving.cancel()


async def _left(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


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
    a frame. Raises what `frames` raises within the first FIRST_SECONDS."""
    first = asyncio.ensure_future(anext(frames))
    came = Wakening(asyncio.get_running_loop())
    first.add_done_callback(lambda _: came.wake())
    await came.wait(FIRST_SECONDS)
    if first.done() and first.exception() and not isinstance(first.exception(), StopAsyncIteration):
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

    return EventStream(body())
