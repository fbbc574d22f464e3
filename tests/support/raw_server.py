"""Servers on loopback that do with each connection whatever a test wants."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Handler = Callable[[socket.socket, int], object]
"""Is given a connection, and how many there were before it."""


@dataclass
class RawServer:
    """port: where it listens. count: the connections so far."""

    port: int
    count: int = 0
    open: list[socket.socket] = field(default_factory=list)


@contextmanager
def serve_raw(handle: Handler, host: str = "127.0.0.1", port: int = 0) -> Iterator[RawServer]:
    """Run such a server. A connection is closed when its handler returns, or raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=64) as listening:
        server = RawServer(listening.getsockname()[1])

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    server.open.append(connection)
                    server.count += 1  # before it is answered
                    threading.Thread(target=answer, args=(connection, server.count - 1), daemon=True).start()

        def answer(connection: socket.socket, number: int) -> None:
            with connection, contextlib.suppress(OSError):
                handle(connection, number)

        threading.Thread(target=accept, daemon=True).start()
        yield server
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        for connection in server.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def read_request(connection: socket.socket) -> bytes:
    """Read one request with a Content-Length; b"" when the client has closed."""
    read = b""
    while b"\r\n\r\n" not in read:
        piece = connection.recv(65536)
        if not piece:
            return b""
        read += piece
    head, _, body = read.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    length = int(lengths[0]) if lengths else 0
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def response(body: bytes, *headers: str, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """A response with a Content-Length."""
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
