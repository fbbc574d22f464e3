"""The sockets that the service listens on. A worker process gets them before it can say that it is alive, so that this
module imports nothing that takes long."""

import contextlib
import errno
import os
import socket
import stat
import sys
from collections.abc import Callable
from multiprocessing import reduction
from typing import Any

WAITING = 2048
"""How many connections may wait for being accepted."""

UNIX = "unix:"
"""How a host begins that is the path of a Unix socket."""

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
    """Return sockets that listen on a port at all addresses of a host, or at the path of a Unix socket (`unix:PATH`),
    whose file `remover` takes away. Raises OSError."""
    if host.startswith(UNIX):
        return [_at_path(host.removeprefix(UNIX))]
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


def _at_path(path: str) -> socket.socket:
    """A listening Unix socket. The file of one on which nobody listens any more is replaced; its permissions follow the
    umask of the process."""
    if not hasattr(socket, "AF_UNIX"):
        raise OSError(errno.EAFNOSUPPORT, "this system has no Unix sockets")
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode) and not _is_answered(path):
            os.unlink(path)
    return _bound(socket.AF_UNIX, path)


def _is_answered(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # its queue is full, or this process may not connect: it is another's
            return True
    return True


def remover(host: str) -> Callable[[], None]:
    """Return a function that removes the file of the Unix socket on which this process listens, if the host is one; not
    that of another process which has taken its place by then."""
    if not host.startswith(UNIX):
        return lambda: None
    path = host.removeprefix(UNIX)
    own = _identity(path)

    def remove() -> None:
        with contextlib.suppress(OSError):
            if _identity(path) == own:
                os.unlink(path)

    return remove


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


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
