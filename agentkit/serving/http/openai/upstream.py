"""Requests that are passed on to the model server of a service, in a thread for each."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from agentkit._threads import WORKERS
from agentkit.backend import Backend
from agentkit.backends import OpenAIBackend
from agentkit.net.abort import AbortableRequest, Aborted
from agentkit.serving.http.runs import TooManyRunsError

AHEAD = 16
"""How many pieces of a response wait for a client that reads slowly."""
POLL_SECONDS = 0.5
"""Interval in seconds between checks whether the client is still connected."""

Piece = bytes | str
IsDisconnected = Callable[[], Awaitable[bool]]


class Upstream:
    """The model server of a service. max_requests: how many are passed on at once; further ones are rejected."""

    def __init__(self, backend: Backend, max_requests: int) -> None:
        self._backend = backend if isinstance(backend, OpenAIBackend) else None
        self._max_requests = max_requests
        self._count = 0

    @property
    def model(self) -> str | None:
        """The name of the model on its server; None where requests can't be passed on: it has no server of the OpenAI
        API."""
        return self._backend.model if self._backend is not None else None

    async def ask(
        self, path: str, fields: Mapping[str, Any], is_disconnected: IsDisconnected
    ) -> AsyncGenerator[Piece, None]:
        """Yield the media type of the response, then the pieces of its body. Ends early when the client has
        disconnected; when it is left, the request is aborted. path: of the endpoint, below the address of the API.

        Raises TooManyRunsError, and the openai package's APIError.
        """
        assert self._backend is not None
        if self._count >= self._max_requests:
            raise TooManyRunsError(f"{self._count} requests are passed on at the moment; try again later")
        self._count += 1
        try:
            reading = _Reading(functools.partial(_pieces, self._backend, path, fields))
            async with aclosing(reading.read(is_disconnected)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self._count -= 1


class _Reading:
    """Reads a response in a thread, for a coroutine of the event loop that makes this."""

    def __init__(self, pieces: Callable[[], Iterator[Piece]]) -> None:
        self._pieces = pieces
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[Piece | BaseException | None] = asyncio.Queue(AHEAD)
        self._request = AbortableRequest()
        self._looked_at = self._loop.time()

    async def read(self, is_disconnected: IsDisconnected) -> AsyncGenerator[Piece, None]:
        """Yield the pieces. The request is aborted when this ends."""
        WORKERS.submit(self._run)
        try:
            while (piece := await self._next(is_disconnected)) is not None:
                yield piece
        finally:
            self._request.abort()

    async def _next(self, is_disconnected: IsDisconnected) -> Piece | None:
        """The next piece; None at the end, and when the client has disconnected."""
        while True:
            if self._loop.time() - self._looked_at >= POLL_SECONDS:  # also where pieces come without a pause
                self._looked_at = self._loop.time()
                if await is_disconnected():
                    return None
            try:
                piece = await asyncio.wait_for(self._arrived.get(), POLL_SECONDS)
            except TimeoutError:
                continue
            if isinstance(piece, BaseException):
                raise piece
            return piece

    def _run(self) -> None:
        """In the thread."""
        with contextlib.suppress(Aborted):
            try:
                self._read_all()
            except Exception as error:  # noqa: BLE001 - raised again by the consumer
                self._put(error)

    def _read_all(self) -> None:
        with self._request:
            for piece in self._pieces():
                self._put(piece)
        self._put(None)

    def _put(self, piece: Piece | BaseException | None) -> None:
        """Hand a piece over, and wait while too many are there. Raises Aborted."""
        if self._request.is_aborted:
            raise Aborted
        waiting = asyncio.run_coroutine_threadsafe(self._arrived.put(piece), self._loop)
        while not self._request.is_aborted:
            with contextlib.suppress(TimeoutError):
                waiting.result(POLL_SECONDS)
                return
        waiting.cancel()
        raise Aborted


def _pieces(backend: OpenAIBackend, path: str, fields: Mapping[str, Any]) -> Iterator[Piece]:
    response = backend.forward(path, fields)
    try:
        yield response.media_type.lower()
        yield from response.pieces()
    except Exception as error:
        broken = backend.broken(response, error)
        if broken is error:
            raise
        raise broken from error
    finally:
        response.close()
