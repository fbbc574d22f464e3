"""The chat service or the MQTT bridge, killed at random moments and started again.

    python -m tests.support.killed_service http|mqtt STORE FOLDER MODEL_SERVER_URL PORT KILLS

Each start is a process forked after everything is imported. PORT: that of the broker, or the one to serve at, which
stays open between two starts. Prints "killed" after the last kill, serves on, and exits when standard input closes.
"""

import os
import random
import select
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn

from agentkit import Agent
from agentkit.backends import OpenAIBackend
from agentkit.serving.chat_service import ChatService
from agentkit.serving.http import app
from agentkit.serving.mqtt.bridge import Bridge
from agentkit.serving.mqtt.projects import projects_named
from agentkit.serving.mqtt.settings import BridgeSettings
from agentkit.session import Sessions
from agentkit.sessions import RedisSessions, open_sessions
from agentkit.text.any_format import any_format_of
from tests.support.http_service import settings_for

ACT = "tests.support.killed_service:act"


def act(step: str) -> str:
    """Have an effect.

    Args:
        step: Which one.
    """
    with (Path(os.environ["KILLED_FOLDER"]) / "effects").open("a") as file:
        file.write(f"{step}\n")
    time.sleep(0.002)
    return f"did {step}"


def opened(where: str) -> Sessions:
    """The store, where the lock of a killed process expires soon, but not that of one which a busy machine holds up for
    some tenths of a second: it would answer, rightly, that another writer has taken over."""
    return RedisSessions(where, lease=0.6) if where.startswith("redis:") else open_sessions(where)


def serve_http(store: str, folder: Path, url: str, listener: socket.socket, ready: int) -> None:
    app.open_sessions = opened  # type: ignore[attr-defined, assignment]
    made = app.create_app(settings_for(folder, url, agentkit_sessions=store, agentkit_tools=(ACT,)))
    os.write(ready, b".")
    uvicorn.Server(uvicorn.Config(made, log_level="critical")).run(sockets=[listener])


def serve_mqtt(store: str, url: str, port: int, ready: int) -> None:
    backend = OpenAIBackend("default", base_url=url, api_key="not-needed")
    projects = tuple(replace(each, tools=(ACT,), tool_choice="auto") for each in projects_named(["general"]))
    settings = BridgeSettings(broker="127.0.0.1", port=port, client_id="killed", rate=100_000)
    bridge = Bridge(projects, ChatService(backend, opened(store)), settings)
    bridge.start()
    os.write(ready, b".")
    signal.pause()


def started(kind: str, serve: Any) -> int:
    """Fork a process that serves; returns its id when it is ready, or after a random time while it starts."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        serve(writing)
        os._exit(1)
    os.close(writing)
    select.select([reading], [], [], 10)
    os.close(reading)
    return child


def main() -> None:
    kind, store, folder, url, port, kills = sys.argv[1:]
    os.environ["KILLED_FOLDER"] = folder
    with Agent(OpenAIBackend("default", base_url=url, api_key="not-needed")) as agent:
        agent.run("Hello.")  # imports what the first request needs
    any_format_of("default")
    chance = random.Random(7)
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=512) if kind == "http" else None

    def serve(ready: int) -> None:
        if listener is not None:
            serve_http(store, Path(folder), url, listener, ready)
        else:
            serve_mqtt(store, url, int(port), ready)

    for _ in range(int(kills)):
        child = started(kind, serve)
        time.sleep(chance.uniform(0.0, 0.4))
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
    child = started(kind, serve)
    print("killed", flush=True)
    sys.stdin.read()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
