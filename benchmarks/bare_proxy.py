"""A bare FastAPI proxy, in a process of its own: what a service of this kind costs at least.

    python -m benchmarks.bare_proxy PORT http://127.0.0.1:PORT/...       passes POST /v1/chat/completions on

Streams too, in the pieces in which they come.
Its connections to the model server are kept, and used in threads: httpx2's asynchronous client takes several times as
much of the processor.
"""

import http.client
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

import anyio.to_thread
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

PATH = "/v1/chat/completions"
HEADERS = {"Content-Type": "application/json"}
THREADS, PIECE = 1000, 65_536


def proxy(server: str) -> FastAPI:
    """The application. server: the URL of the model server, without /v1."""
    parts = urlsplit(server)
    kept: SimpleQueue[http.client.HTTPConnection] = SimpleQueue()

    def pieces(body: bytes, size: int | None) -> Iterator[bytes]:
        try:
            connection = kept.get_nowait()
        except Empty:
            connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        connection.request("POST", parts.path + PATH, body, HEADERS)
        response = connection.getresponse()
        while piece := response.read() if size is None else response.read1(size):
            yield piece
        response.close()  # http.client takes the connection for busy otherwise
        kept.put(connection)

    def ask(body: bytes) -> bytes:
        return b"".join(pieces(body, None))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        yield

    app = FastAPI(lifespan=lifespan)

    @app.post(PATH)
    async def complete(request: Request) -> Response:
        body = await request.body()
        if b'"stream": true' in body:
            return StreamingResponse(pieces(body, PIECE), media_type="text/event-stream")
        return Response(await run_in_threadpool(ask, body), media_type="application/json")

    return app


if __name__ == "__main__":
    uvicorn.run(proxy(sys.argv[2]), port=int(sys.argv[1]), log_level="warning", access_log=False)
