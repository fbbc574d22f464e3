"""Connects to a host, by whichever of its addresses accepts; the connection can be given up at every moment."""

import functools
import http.client
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from agentkit._lazy.modules import loaded
from agentkit._threads import WORKERS
from agentkit.net.abort import Aborted, is_aborted, stop_on_abort

Address = tuple[Any, ...]
Note = Callable[[socket.socket], object]
"""Is told of the socket that connects now, before it does."""


def dialled(connection: Any, seconds: float | None, note: Note) -> socket.socket:
    """A socket that is connected to the host of a connection of urllib3. seconds: of all together, with the look-up;
    None: no limit.

    Raises NameResolutionError, ConnectTimeoutError and NewConnectionError of urllib3, and Aborted.
    """
    host, port = connection._dns_host.strip("[]"), connection.port
    end = None if seconds is None else time.monotonic() + seconds
    try:
        addresses = _addresses(host, port, seconds)
    except (socket.gaierror, UnicodeError) as error:  # of a name that can't be one
        raise _errors().NameResolutionError(host, connection, error) from error
    except TimeoutError as error:
        raise _errors().ConnectTimeoutError(connection, f"{host} was not found in time") from error
    failure: OSError = OSError("the host has no address")
    for place, address in enumerate(addresses):
        try:
            return _connected(address, _share(end, len(addresses) - place), connection.socket_options, note)
        except OSError as error:
            if is_aborted():
                raise Aborted from None
            failure = error
    if isinstance(failure, TimeoutError):
        raise _errors().ConnectTimeoutError(connection, f"{host} did not accept in time") from failure
    text = f"Failed to establish a new connection: {failure}"
    raise _errors().NewConnectionError(connection, text) from failure


def failures() -> tuple[type[Exception], ...]:
    """What a request without a response raises, and a body that breaks off. What has not loaded urllib3 raises none of
    its errors."""
    of_urllib3 = loaded("urllib3.exceptions", "HTTPError")
    own = (http.client.HTTPException, OSError)
    return own if of_urllib3 is None else (of_urllib3, *own)


def _errors() -> Any:
    from urllib3 import exceptions  # what no program needs that connects

    return exceptions


@functools.cache
def _family() -> int:
    """The kind of addresses to look for: those of IPv6 where this machine has it."""
    try:
        with socket.socket(socket.AF_INET6) as made:
            made.bind(("::1", 0))
    except OSError:
        return socket.AF_INET
    return socket.AF_UNSPEC


def _share(end: float | None, count: int) -> float | None:
    """The seconds for one of the addresses that are left."""
    return None if end is None else max(end - time.monotonic(), 0.001) / count


class _Socket(socket.socket):
    """Is closed without a warning when it is dropped. A connection does that for its socket; but where both are garbage
    in a circle, as in the traceback of an error that was kept, the socket may be collected first."""

    def __del__(self, close: Callable[[int], object] = socket.close) -> None:
        descriptor = self.detach()
        if descriptor >= 0:
            close(descriptor)  # of `socket`, which may be gone at the end of the program


def _connected(address: Address, seconds: float | None, options: Any, note: Note) -> socket.socket:
    family, kind, protocol, _, where = address
    made = _Socket(family, kind, protocol)
    try:
        for option in options or ():
            made.setsockopt(*option)
        made.settimeout(seconds)
        note(made)
        if is_aborted():
            raise Aborted
        made.connect(where)
    except BaseException:
        made.close()
        raise
    return made


def _addresses(host: str, port: int, seconds: float | None) -> list[Address]:
    """The addresses of a host. A name is looked up in another thread, which nothing can end. Raises socket.gaierror,
    TimeoutError, and Aborted."""

    def look_up() -> list[Address]:
        return socket.getaddrinfo(host, port, _family(), socket.SOCK_STREAM)

    if host == "localhost" or ":" in host or host.rpartition(".")[2].isdigit():  # no name server is asked for these
        return look_up()
    has_ended = threading.Event()
    stop_on_abort(has_ended.set)
    found: list[list[Address] | Exception] = []

    def work() -> None:
        try:
            found.append(look_up())
        except Exception as error:  # noqa: BLE001 - raised again in the waiting thread
            found.append(error)
        has_ended.set()

    WORKERS.submit(work)
    has_ended.wait(seconds)
    if is_aborted():
        raise Aborted
    if not found:
        raise TimeoutError
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]
