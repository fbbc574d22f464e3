"""The server over HTTP (streamable HTTP, under /mcp), each connection in a thread of its own."""

import socket
import socketserver
import threading
from collections.abc import Iterable
from typing import Any

from agentkit._lazy.logs import logger_of
from agentkit.errors import ConfigurationError
from agentkit.mcp.serving.answering import Server
from agentkit.mcp.serving.gate import Gate
from agentkit.mcp.serving.requests import Requests, Site
from agentkit.mcp.serving.sessions import Sessions

logger = logger_of("agentkit.mcp")

MAX_CONNECTIONS = 128

_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"


def address_of(text: str) -> tuple[str, int]:
    """The host and the port of "host:port", as in 127.0.0.1:8931 or [::1]:8931. Raises ConfigurationError."""
    host, _, port = text.removeprefix("http://").removesuffix("/").removesuffix("/mcp").rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise ConfigurationError(f"{text!r} is no address to listen on: write host:port, such as 127.0.0.1:8931")
    return host.removeprefix("[").removesuffix("]"), int(port)


class HTTPServing(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens at an address until it is closed. token, origins: see `Gate`. Raises OSError when that is not possible,
    ConfigurationError for a host that needs a token, and for what is no origin."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self, server: Server, address: tuple[str, int], token: str | None = None, origins: Iterable[str] = ()
    ) -> None:
        self.site = Site(server, Gate(address[0], token, origins), Sessions())
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, Requests)
        threading.Thread(target=self.serve_forever, args=(0.1,), name="agentkit-mcp-http", daemon=True).start()

    @property
    def url(self) -> str:
        """Where clients find it."""
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{port!s}/mcp"

    def __exit__(self, *args: object) -> None:
        self.shutdown()
        self.site.sessions.close_all()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """A connection has come. It is refused when there are too many, or no thread can be started for it."""
        if self._room.acquire(blocking=False):
            try:
                super().process_request(request, client_address)
                return
            except RuntimeError:
                self._room.release()
        try:
            request.settimeout(0.0)
            request.send(_BUSY)
        except OSError:
            logger.debug("a connection ended before it was refused")
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer the requests of a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection has failed, often since its client is gone."""
        logger.debug("a connection failed", exc_info=True)
