"""Runs the chat service on a free loopback port, in threads of the test process."""

import asyncio
import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import uvicorn

from agentkit.serving.http.app import create_app
from agentkit.serving.http.server import config_of
from agentkit.serving.http.settings import HttpSettings
from tests.support.model_server import Answer, Asked, calls, delta, streamed, whole

LOOK_UP = "tests.support.http_service:look_up"
"""`module:name` of the tool below, as loaded by the service."""


@dataclass
class Service:
    """A running service, and a client for it. key: sent as Bearer token. stop: tells the service to stop."""

    url: str
    app: Any
    key: str | None = None
    stop: Callable[[], object] = lambda: None

    def ask(
        self, method: str, path: str, body: Any = None, key: str | None = None, **options: Any
    ) -> requests.Response:
        token = key or self.key
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.request(
            method, self.url + path, json=body, headers={**headers, **options.pop("headers", {})}, timeout=30, **options
        )

    def frames(self, path: str, body: Any, **options: Any) -> list[Any]:
        """Return the frames of a stream."""
        response = self.ask("POST", path, body, stream=True, **options)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith("text/event-stream")
        return [json.loads(line[6:]) for line in response.iter_lines() if line.startswith(b"data: ")]


def settings_for(folder: Path, server: str, **options: Any) -> HttpSettings:
    """Settings for a test, independent of the environment. server: URL of the model server, with or without /v1."""
    given: dict[str, Any] = {
        "_env_file": None,
        "llm_server_url": server,
        "agentkit_sessions": str(folder / "sessions.db"),
        "agentkit_keys_file": folder / "keys.json",
        "agentkit_rate": 10_000,
        **options,
    }
    return HttpSettings(**given)


class _Server(uvicorn.Server):
    """Ends when it is told to; uvicorn's own looks ten times a second whether it is."""

    _loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        self._told = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), 0.1)

    def stop(self) -> None:
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._told.set)


@contextmanager
def serve_http(settings: HttpSettings, key: str | None = None) -> Iterator[Service]:
    app = create_app(settings)
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    settings.agentkit_stop_seconds = 3.0
    server = _Server(config_of(app, settings, configures_logging=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    end = time.monotonic() + 10
    while not server.started and time.monotonic() < end:
        time.sleep(0.01)
    try:
        yield Service(f"http://127.0.0.1:{listener.getsockname()[1]}", app, key, server.stop)
    finally:
        server.stop()
        thread.join(10)
        listener.close()


def talk(service: Service, session: str, message: str, **more: Any) -> Any:
    body = {"session_id": session, "message": message, **more}
    response = service.ask("POST", "/api/llm/chat/session", body)
    assert response.status_code == 200, response.text
    return response.json()


def look_up(topic: str) -> str:
    """Look something up.

    Args:
        topic: What to look up.
    """
    if topic == "nothing":
        raise ValueError("there is nothing")
    return f"all about {topic}"


def reply(request: Asked) -> Answer:
    """Return the concatenated user messages; call the tool when the last user message contains "look up"."""
    if "messages" not in request.body:  # embeddings, or the completion of a text
        return whole("")
    messages = request.body["messages"]
    last = messages[-1]
    if last["role"] == "user" and "look up" in str(last.get("content")):
        return calls(("look_up", {"topic": str(last.get("content")).split()[-1]}))
    first = str(messages[0].get("content"))[:9]
    text = " | ".join(str(message.get("content")) for message in messages if message["role"] == "user")
    if request.body.get("stream"):
        words = re.findall(r"\S+\s*", f"{first}: {text}")
        return streamed(*(delta(content=word) for word in words))
    return whole(f"{first}: {text}")
