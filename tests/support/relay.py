"""A relay before a server on loopback, whose connections can fall silent, or be cut."""

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Relay:
    """url: of the relay."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._silent: set[socket.socket] = set()
        self._is_closed = False

    def silence(self) -> None:
        """The connections that are open now pass nothing on any more, and stay open."""
        self._silent.update(each for pair in self._pairs for each in pair)

    def cut(self) -> None:
        """Reset the connections that are open now."""
        for pair in self._pairs:
            for each in pair:
                with contextlib.suppress(OSError):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    each.shutdown(socket.SHUT_RDWR)
                    each.close()

    def close(self) -> None:
        """Take no connection any more, and reset those that are open."""
        self._is_closed = True
        self.cut()

    def pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if source not in self._silent:
                    target.sendall(data)
            if source not in self._silent:
                target.shutdown(socket.SHUT_RDWR)


@contextmanager
def relayed(port: int) -> Iterator[Relay]:
    """A relay to a port of this machine."""

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            client: Any = self.request
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
                relay._pairs.append((client, server))
                if relay._is_closed:
                    return
                threading.Thread(target=relay.pass_on, args=(server, client), daemon=True).start()
                relay.pass_on(client, server)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection) as listening:
        listening.daemon_threads = True
        relay = Relay(f"http://127.0.0.1:{listening.server_address[1]}")
        threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield relay
        relay.cut()
        listening.shutdown()
