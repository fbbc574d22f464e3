"""Server-sent events: what happens, as a stream of `data:` frames."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from fastapi.responses import StreamingResponse

FIRST_SECONDS = 2.0
"""So long is waited for the first frame, so that what fails at once is told by the status."""

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def frame(what: Any) -> str:
    """One frame; None is a comment, a sign of life."""
    if what is None:
        return ": still here\n\n"
    text = what if isinstance(what, str) else json.dumps(what)  # ASCII: a piece may hold half of a surrogate pair
    return f"data: {text}\n\n"


async def streamed(
    frames: AsyncGenerator[Any, None], ending: Callable[[Exception | None], Sequence[Any]]
) -> StreamingResponse:
    """A response with these frames. ending: the last ones, after an error or none. Raises what `frames` raises within
    the first seconds."""
    first = asyncio.ensure_future(anext(frames))
    done, _ = await asyncio.wait({first}, timeout=FIRST_SECONDS)
    if done and first.exception() and not isinstance(first.exception(), StopAsyncIteration):
        first.result()

    async def body() -> AsyncIterator[str]:
        failed: Exception | None = None
        async with aclosing(frames):
            try:
                yield frame(await first)
                async for each in frames:
                    yield frame(each)
            except StopAsyncIteration:  # nothing came, since the client is gone
                return
            except Exception as error:  # noqa: BLE001 - the status is sent: what failed is told in the stream
                failed = error
        for each in ending(failed):
            yield frame(each)

    return StreamingResponse(body(), media_type="text/event-stream", headers=HEADERS)
