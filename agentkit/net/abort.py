"""Aborts an in-flight request by shutting down its socket: the server stops generating, and the thread that reads from
the socket wakes up.

The openai and requests clients do not expose the connection on which a request waits for its first byte, so their
connections are made to record which request uses them.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakSet

from agentkit._forking import freed_by_forks, take_part_in_forks
from agentkit._threads import LightEvent

T = TypeVar("T")

_lock = freed_by_forks(threading.RLock())  # a finalizer that runs in the middle of this may abort another request


class _Current(threading.local):
    """The request of this thread."""

    request: "AbortableRequest | None" = None


_current = _Current()


class Aborted(BaseException):
    """Raised in a thread that sends for an aborted request. Not an Exception, since clients would retry those."""


class AbortableRequest:
    """Tracks the connection of one request. Enter it in the thread that sends the request; abort it from any other."""

    def __init__(self) -> None:
        self._connection: Any = None
        self._stop: Callable[[], object] | None = None
        self.is_aborted = False

    def __enter__(self) -> "AbortableRequest":
        _current.request = self
        return self

    def __exit__(self, *error: object) -> None:
        _current.request = None
        with _lock:
            self._connection = self._stop = None

    def within(self, step: Callable[[], T]) -> T:
        """Return what `step` returns, which may send the request, or wait for it, in this thread."""
        before, _current.request = _current.request, self
        try:
            return step()
        finally:
            _current.request = before

    def abort(self) -> None:
        """Shut the connection down if this request still owns it; nothing more is sent for this request."""
        with _lock:
            self.is_aborted = True
            if self._stop is not None:
                self._stop()
            if self._connection is not None and self._connection.owner is self:
                shut_down(_socket_of(self._connection))

    def _use(self, connection: Any) -> None:
        self._connection = connection  # before it looks: a finalizer may abort it in this thread
        if self.is_aborted:
            raise Aborted


class AbortingEvent(LightEvent):
    """An event that aborts the requests of all threads that are within it, when it is set: no other thread has to look
    at it again and again for that."""

    def __init__(self) -> None:
        super().__init__()
        self._requests: set[AbortableRequest] = set()

    def set(self) -> None:
        """Abort the requests; what a thread within it sends later is aborted too."""
        super().set()
        for request in list(self._requests):
            request.abort()

    def within(self, step: Callable[[], T]) -> T:
        """Return what `step` returns, which may send requests in this thread, one after the other."""
        request, before = AbortableRequest(), _current.request
        self._requests.add(request)
        if self.is_set():  # it is set first, and then goes through the requests
            request.is_aborted = True
        _current.request = request
        try:
            return step()
        finally:
            _current.request = before
            self._requests.discard(request)

    @property
    def aborts_here(self) -> bool:
        """Whether a request that this thread sends now is aborted when the event is set."""
        return _current.request in self._requests


class _Connections:
    """The connections of this process."""

    def __init__(self) -> None:
        self.known: WeakSet[Any] = WeakSet()
        take_part_in_forks(self)  # and not only renewed: before the clients, which drop their connections

    def before_fork(self) -> None:
        """Nothing: a request may take minutes."""

    def after_fork(self, is_child: bool) -> None:
        """In a child: close the file descriptors, and nothing else, so that the server notices when the parent closes
        its own. Whatever of the parent goes on in the child then fails, where it would shut down the parent's
        connection, or read what the parent waits for."""
        if is_child:
            self._drop()

    def _drop(self) -> None:
        for connection in list(self.known):
            found = _socket_of(connection)
            with contextlib.suppress(OSError):
                if isinstance(found, socket.socket) and found.fileno() >= 0:
                    os.close(found.detach())
        self.known = WeakSet()


_CONNECTIONS = _Connections()


def _socket_of(connection: Any) -> Any:
    """The current socket of a connection; None when it has none."""
    current = getattr(connection, "sock", None)
    return current if current is not None else getattr(connection, "last_sock", None)


def keep_socket(connection: Any) -> None:
    """Remember the socket of a connection, in its attribute `last_sock`: `http.client` gives it to a response that ends
    with the connection, and nobody else would have it while that is read."""
    connection.last_sock = connection.sock


def record_owner(connection: Any) -> None:
    """Record, in the attribute `owner` of a connection, the request that this thread sends on it. connection: its
    attribute `sock` is its current socket, or None while a response has it that ends with the connection; then it is
    that of `keep_socket`. Raises Aborted when the request is aborted."""
    if connection not in _CONNECTIONS.known:  # which is found out more quickly than it is added
        _CONNECTIONS.known.add(connection)
    request = _current.request
    if request is None:
        connection.owner = None
        return
    with _lock:
        connection.owner = request
        request._use(connection)


def disown(connection: Any) -> None:
    """Record that a connection is free for another request: an abort that comes late leaves it alone."""
    if connection.owner is not None:  # which this thread alone sets
        with _lock:
            connection.owner = None


def stop_on_abort(stop: Callable[[], object]) -> None:
    """Have `stop`, which returns at once, called when the request of this thread is aborted: for one that is processed
    in this process, without a connection. Raises Aborted when the request is aborted."""
    request = _current.request
    if request is None:
        return
    with _lock:
        request._stop = stop
        if request.is_aborted:
            raise Aborted


def is_aborted() -> bool:
    """Whether the request of this thread is aborted: what fails then has not failed by itself."""
    request = _current.request
    return request is not None and request.is_aborted


def shut_down(connection: object) -> None:
    """Shut a socket down; unlike close() this wakes a thread that reads from it."""
    if isinstance(connection, socket.socket):
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)  # that of TLS would let its reader go on without TLS


class _TrackingBackend:
    """A network backend of httpcore whose streams record which request uses them."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def connect_tcp(self, *args: Any, **options: Any) -> "_TrackingStream":
        """See httpcore's `NetworkBackend.connect_tcp`."""
        request = _current.request
        if request is not None and request.is_aborted:
            raise Aborted
        return _TrackingStream(self._inner.connect_tcp(*args, **options))


class _TrackingStream:
    """A network stream of httpcore that records which request uses it."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.owner: AbortableRequest | None = None
        self.read, self.close, self.get_extra_info = inner.read, inner.close, inner.get_extra_info

    def write(self, *args: Any, **options: Any) -> None:
        """See httpcore's `NetworkStream.write`."""
        record_owner(self)
        self._inner.write(*args, **options)

    @property
    def sock(self) -> Any:
        """Its socket."""
        return self._inner.get_extra_info("socket")

    def start_tls(self, *args: Any, **options: Any) -> "_TrackingStream":
        """See httpcore's `NetworkStream.start_tls`."""
        return _TrackingStream(self._inner.start_tls(*args, **options))


def track_connections(client: Any) -> None:
    """Make the connections of an httpx client abortable.

    httpx has no public hook for this; where a version's internals differ, only timeouts end a request.
    """
    for transport in (client._transport, *client._mounts.values()):
        pool: Any = getattr(transport, "_pool", None)
        if hasattr(pool, "_network_backend"):
            pool._network_backend = _TrackingBackend(pool._network_backend)
