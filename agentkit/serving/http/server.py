"""Runs the service: its sockets, its worker processes, and its end."""

import atexit
import contextlib
import gc
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from agentkit.serving.http.app import create_app
from agentkit.serving.http.connections import ACCEPTED_AT_ONCE
from agentkit.serving.http.listening import WAITING
from agentkit.serving.http.logs import logging_at
from agentkit.serving.http.settings import HttpSettings

logger = logging.getLogger("agentkit.http")

COLLECTED = (10_000, 20, 10)
"""Thresholds of the garbage collector; Python's own are 700, 10 and 10."""

WEBSOCKETS = "agentkit.serving.http.websocket_protocol:LimitedWebSocket"


class Server(uvicorn.Server):
    """A server that calls `announce` when it has started."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], object]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()


def config_of(
    target: Any, settings: HttpSettings, workers: int = 1, *, configures_logging: bool = True
) -> uvicorn.Config:
    """Return the configuration of a server. target: the application, or the name of a function that makes it."""
    return uvicorn.Config(
        target,
        factory=isinstance(target, str),
        http="agentkit.serving.http.protocol:LimitedProtocol",
        ws=WEBSOCKETS if find_spec("websockets") else "none",
        ws_max_size=settings.agentkit_max_body,
        ws_per_message_deflate=False,
        lifespan="on",
        workers=workers,
        log_config=logging_at(settings.agentkit_log_level) if configures_logging else None,
        access_log=False,
        backlog=WAITING if find_spec("uvloop") else ACCEPTED_AT_ONCE,
        timeout_keep_alive=settings.agentkit_keep_alive,
        timeout_graceful_shutdown=settings.agentkit_stop_seconds * 0.9,  # type: ignore[arg-type]  # it may be a float
        server_header=False,
        timeout_worker_healthcheck=30,
    )


def run(created: FastAPI, sockets: list[socket.socket], announce: Callable[[], object]) -> bool:
    """Serve until SIGTERM or SIGINT. Returns whether the service has started. created: the application, which worker
    processes make again. announce: called when requests are answered."""
    settings = created.state.service.settings
    workers = settings.agentkit_workers
    if workers > 1:
        announce()
        Multiprocess(config_of(f"{__name__}:create_worker", settings, workers), sockets).run()
        return True
    end_in_time(created)
    collect_less()
    server = Server(config_of(created, settings), announce)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets)
    return server.started


def create_worker() -> FastAPI:
    """Create the application of a worker process."""
    created = create_app()
    end_in_time(created)
    collect_less()
    return created


def collect_less() -> None:
    """Have the garbage collector look at fewer objects, and less often: what is there before the first request stays,
    and an answer makes some hundred more, hardly any of them in cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED)


def end_in_time(created: FastAPI) -> None:
    """End this process when it stops and has not ended in time, such as in a tool that hangs."""
    seconds = created.state.service.settings.agentkit_stop_seconds

    def watch() -> None:
        time.sleep(max(0.5, seconds - 0.3))  # the signal was seen some moments ago
        logger.warning("not everything has ended within %g seconds", seconds)
        os._exit(1)

    atexit.register(gc.freeze)  # else the interpreter looks through all objects once more, which takes seconds
    watcher = threading.Thread(target=watch, name="agentkit-stop", daemon=True)
    created.state.on_stop = lambda: None if watcher.ident else watcher.start()
