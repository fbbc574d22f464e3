"""A bare FastAPI proxy, in a process of its own: what a service of this kind costs at least.

    python -m benchmarks.bare_proxy PORT http://127.0.0.1:PORT/...       passes POST /v1/chat/completions on

Its connections to the model server are kept, and used in threads: httpx2's asynchronous client takes several times as
much of the processor.
"""

import http.client
import sys
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

PATH = "/v1/chat/completions"
HEADERS = {"Content-Type": "application/json"}


def proxy(server: str) -> FastAPI:
    """The application. server: the URL of the model server, without /v1."""
    parts = urlsplit(server)
    kept: SimpleQueue[http.client.HTTPConnection] = SimpleQueue()

    def ask(body: bytes) -> bytes:
        try:
            connection = kept.get_nowait()
        except Empty:
            connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        connection.request("POST", parts.path + PATH, body, HEADERS)
        answer = connection.getresponse().read()
        kept.put(connection)
        return answer

    app = FastAPI()

    @app.post(PATH)
    async def complete(request: Request) -> Response:
        return Response(await run_in_threadpool(ask, await request.body()), media_type="application/json")

    return app


if __name__ == "__main__":
    uvicorn.run(proxy(sys.argv[2]), port=int(sys.argv[1]), log_level="warning", access_log=False)
