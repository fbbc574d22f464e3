"""Loopback ports for servers in separate processes."""

import socket
import time
from functools import cache

REFUSING: list[socket.socket] = []


def free_port() -> int:
    """A port that is not in use."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@cache
def refusing_port() -> int:
    """A port that refuses connections as long as this process lives: it is bound, so that no other test gets it."""
    socket_ = socket.socket()
    socket_.bind(("127.0.0.1", 0))
    REFUSING.append(socket_)
    return int(socket_.getsockname()[1])


def wait_for(port: int, name: str, seconds: float = 15.0) -> None:
    """Wait until a server listens on a port. Raises AssertionError after `seconds`."""
    for _ in range(int(seconds * 50)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"{name} did not start")
