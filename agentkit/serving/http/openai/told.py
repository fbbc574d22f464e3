"""Answers as events, for APIs whose streams have a beginning of their own: as long as nothing of the answer is there,
an error may still be told by the HTTP status. What is not streamed is made of the same events."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from typing import Any

from agentkit.serving.http.openai.answers import Said, SaidAsJson
from agentkit.serving.http.openai.chat_completions import Ending
from agentkit.serving.http.openai.chat_request import Asked
from agentkit.serving.http.openai.responses.output import SaidInOrder
from agentkit.serving.http.runs import ClientDisconnectedError

BEGIN_SECONDS = 1.0
"""Seconds that a stream waits for the first part of the answer before it says that the answer begins: an error in this
time is told by the HTTP status."""


async def told(
    parts: AsyncGenerator[Any, None],
    begin: Callable[[], Iterable[Any]],
    take: Callable[[Any], Iterable[Any]],
    ended: Callable[[Ending], AsyncIterator[Any]],
) -> AsyncGenerator[Any, None]:
    """Yield the events of an answer; None is a keep-alive. parts: of the answer, and at last its ending. begin, take,
    ended: make the events of the beginning, of a part, and of the ending. Raises what `parts` raises."""
    async with aclosing(parts):
        first = asyncio.ensure_future(anext(parts, None))
        try:
            await asyncio.wait({first}, timeout=BEGIN_SECONDS)
            if first.done():
                first.result()
            for event in begin():
                yield event
            part = await first
        finally:
            await _cancelled(first)
        async for event in _told_parts(part, parts, take, ended):
            yield event


async def taken(
    parts: AsyncGenerator[Any, None],
    take: Callable[[Any], Iterable[Any]],
    ended: Callable[[Ending], AsyncIterator[Any]],
) -> None:
    """Make the events of an answer that is not streamed. The arguments are those of `told`. Raises what `parts` raises,
    and ClientDisconnectedError where there is no ending."""
    async with aclosing(parts):
        async for part in parts:
            if isinstance(part, Ending):
                _ = [event async for event in ended(part)]
                return
            if part is not None:
                _ = list(take(part))
    raise ClientDisconnectedError


def said_whole(asked: Asked) -> Said:
    """What reads the answer to a request that is not streamed."""
    said = SaidInOrder()
    return said if asked.json is None else SaidAsJson(said, streams=False)


async def _told_parts(
    part: Any,
    parts: AsyncGenerator[Any, None],
    take: Callable[[Any], Iterable[Any]],
    ended: Callable[[Ending], AsyncIterator[Any]],
) -> AsyncGenerator[Any, None]:
    """Yield the events of all parts. part: the first."""
    while True:
        if isinstance(part, Ending):
            async for event in ended(part):
                yield event
        elif part is None:
            yield None
        else:
            for event in take(part):
                yield event
        try:
            part = await anext(parts)
        except StopAsyncIteration:
            return


async def _cancelled(task: "asyncio.Future[Any]") -> None:
    if not task.done():
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
