"""A proxy on loopback: CONNECT for https, and whole addresses for http."""

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.raw_server import serve_raw
from tests.support.tls_proxy import pass_on


@dataclass
class Proxy:
    """port: where it listens. heads: the beginnings of the requests that it was sent, up to the empty line."""

    port: int
    heads: list[str] = field(default_factory=list)


@contextmanager
def serve_proxy(user: str = "", target: int | None = None) -> Iterator[Proxy]:
    """Run such a proxy. user: "name:password", which it asks for. target: the port on loopback to which it connects,
    whatever host is asked for."""
    heads: list[str] = []
    wanted = "proxy-authorization: basic " + base64.b64encode(user.encode()).decode().lower()

    def handle(client: socket.socket, number: int) -> None:
        read = b""
        while b"\r\n\r\n" not in read:
            read += client.recv(65536)
        head, _, rest = read.partition(b"\r\n\r\n")
        text = head.decode("latin-1")
        heads.append(text)
        if user and wanted not in text.lower():
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            return
        method, address, _ = text.split("\r\n")[0].split(" ")
        if method == "CONNECT":
            port = int(address.rpartition(":")[2])
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            parts = urlsplit(address)
            port = parts.port or 80
            rest = head.replace(address.encode(), parts.path.encode(), 1) + b"\r\n\r\n" + rest
        with socket.create_connection(("127.0.0.1", target or port)) as server:
            server.sendall(rest)
            threading.Thread(target=pass_on, args=(server, client), daemon=True).start()
            pass_on(client, server)

    with serve_raw(handle) as server:
        yield Proxy(server.port, heads)
