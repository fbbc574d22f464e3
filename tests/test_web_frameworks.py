"""Runs that web frameworks stream to their clients, as any iterator."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterable, Iterator
from contextlib import contextmanager
from typing import Annotated

import flask
import pytest
import requests
import uvicorn
from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient

from agentkit import Agent
from agentkit.backend import ReplyStream, Request
from agentkit.event import TextDelta
from agentkit.testing import ScriptedBackend

pytestmark = pytest.mark.timeout(60)


def test_a_run_and_its_text_are_no_asynchronous_streams() -> None:
    """Frameworks read what is one by `async for` (agno-agi/agent-api#2, microsoft/promptflow#561)."""
    agent = Agent(ScriptedBackend(*["Hello."] * 2))
    for stream in (agent.stream("Hi."), agent.stream_text("Hi.")):
        assert isinstance(stream, Iterator)
        assert not isinstance(stream, AsyncIterable)
        assert not hasattr(stream, "__aiter__")


@pytest.mark.parametrize("is_async", [False, True])
def test_fastapi_streams_the_text_of_an_answer(is_async: bool) -> None:
    app = FastAPI()
    agent = Agent(ScriptedBackend("One two three."))

    def ask() -> StreamingResponse:
        return StreamingResponse(agent.stream_text("Count."), media_type="text/plain")

    async def ask_in_the_loop() -> StreamingResponse:
        return await asyncio.to_thread(ask)

    app.get("/ask")(ask_in_the_loop if is_async else ask)
    response = TestClient(app).get("/ask")
    assert (response.status_code, response.text) == (200, "One two three.")


def test_flask_streams_the_text_of_an_answer() -> None:
    app = flask.Flask(__name__)
    agent = Agent(ScriptedBackend("One two three."))
    app.get("/ask")(lambda: flask.Response(agent.stream_text("Count.")))
    assert app.test_client().get("/ask").text == "One two three."


class _Endless(ScriptedBackend):
    """Writes until its reader leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.left = threading.Event()

    def reply(self, request: Request) -> ReplyStream:
        try:
            while True:
                yield TextDelta("more ")
                time.sleep(0.01)
        finally:
            self.left.set()


def test_a_client_that_leaves_ends_a_run_that_is_closed_behind_its_response() -> None:
    """As docs/runs.md has it: Starlette itself closes no iterator whose client has left."""
    backend = _Endless()
    app = FastAPI()
    agent = Agent(backend)

    def pieces() -> Iterator[Iterator[str]]:
        with agent.stream_text("Go on.") as answer:
            yield answer

    def ask(answer: Annotated[Iterator[str], Depends(pieces)]) -> StreamingResponse:
        return StreamingResponse(answer, media_type="text/plain")

    app.get("/ask")(ask)
    with _served(app) as url:
        with requests.get(url, stream=True, timeout=20) as response:
            assert next(response.iter_content(4)) == b"more"
            assert not backend.left.is_set()
        assert backend.left.wait(20)


@contextmanager
def _served(app: FastAPI) -> Iterator[str]:
    """The address of `/ask` of an app."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/ask"
        finally:
            server.should_exit = True
            thread.join(20)
