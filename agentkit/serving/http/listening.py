"""The sockets that the service listens on. A worker process gets them before it can say that it is alive, so that this
module imports nothing that takes long."""

import errno
import socket
import sys
from multiprocessing import reduction
from typing import Any

WAITING = 2048
"""How many connections may wait for being accepted."""


SEND_BYTES = 128 * 1024
"""How much of a response the system keeps for a client that does not read. It would take megabytes, and the service
would not notice for long that nobody reads."""


class Listener(socket.socket):
    """A listening socket. Its queue is longer than the number of connections that asyncio accepts at once, although
    asyncio uses one number for both."""

    def listen(self, backlog: int = WAITING, /) -> None:
        super().listen(max(backlog, WAITING))


def _inherit(descriptor: Any) -> Listener:
    return Listener(fileno=descriptor.detach())


if sys.platform != "win32":
    reduction.register(Listener, lambda own: (_inherit, (reduction.DupFd(own.fileno()),)))


def listeners(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on a port at all addresses of a host. Raises OSError."""
    bound: list[socket.socket] = []
    failures: list[OSError] = []
    for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
        try:
            bound.append(_bound(family, (address[0], bound[0].getsockname()[1] if bound else port, *address[2:])))
        except OSError as error:
            failures.append(error)
    if not bound or any(each.errno == errno.EADDRINUSE for each in failures):
        for each in bound:
            each.close()
        raise failures[0]
    return bound  # without the addresses that this machine does not have, such as ::1 without IPv6


def _bound(family: int, address: Any) -> socket.socket:
    listener = (socket.socket if sys.platform == "win32" else Listener)(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)  # which its connections inherit
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(WAITING)  # only this fails when another process has bound the port and does not listen yet
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
