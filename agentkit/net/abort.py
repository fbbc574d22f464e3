"""Leaving a server that is waited for: the connection is shut down, which tells the server to stop and wakes the thread
that reads from it.

The clients of openai and requests don't tell on which connection a request waits for its first byte. So their
connections are made to note who speaks on them.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

_lock = threading.Lock()
_current = threading.local()


class Left(BaseException):
    """Raised in a thread that would speak for somebody who has left. No Exception, since clients try those again."""


class Line:
    """The connection on which one reply is asked for. Enter it in the thread that asks; hang up in any other."""

    def __init__(self) -> None:
        self._connection: Any = None
        self._socket_of: Callable[[], Any] = lambda: None
        self.is_left = False

    def __enter__(self) -> "Line":
        _current.line = self
        return self

    def __exit__(self, *error: object) -> None:
        _current.line = None
        with _lock:
            self._connection = None

    def hang_up(self) -> None:
        """Shut the connection down if it is still this line's; nothing more is said on this line."""
        with _lock:
            self.is_left = True
            if self._connection is not None and self._connection.speaks_for is self:
                hang_up(self._socket_of())

    def _speak(self, connection: Any, socket_of: Callable[[], Any]) -> None:
        if self.is_left:
            raise Left
        self._connection, self._socket_of = connection, socket_of


def speak(connection: Any, socket_of: Callable[[], Any]) -> None:
    """Note that this thread speaks on a connection now, which gets an attribute for that. socket_of: its socket when it
    is asked for, or None."""
    line: Line | None = getattr(_current, "line", None)
    if line is None:
        connection.speaks_for = None
        return
    with _lock:
        connection.speaks_for = line
        line._speak(connection, socket_of)


def hang_up(connection: object) -> None:
    """Shut a socket down; unlike close() this wakes a thread that reads from it."""
    if isinstance(connection, socket.socket):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


class Network:
    """A network backend of httpcore whose streams note who speaks on them."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def connect_tcp(self, *args: Any, **options: Any) -> "_Stream":
        """See httpcore's `NetworkBackend.connect_tcp`."""
        line: Line | None = getattr(_current, "line", None)
        if line is not None and line.is_left:
            raise Left
        return _Stream(self._inner.connect_tcp(*args, **options))


class _Stream:
    """A stream of httpcore."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.speaks_for: Line | None = None
        self.read, self.close, self.get_extra_info = inner.read, inner.close, inner.get_extra_info

    def write(self, *args: Any, **options: Any) -> None:
        """See httpcore's `NetworkStream.write`."""
        speak(self, self._socket)
        self._inner.write(*args, **options)

    def _socket(self) -> Any:
        return self._inner.get_extra_info("socket")

    def start_tls(self, *args: Any, **options: Any) -> "_Stream":
        """See httpcore's `NetworkStream.start_tls`."""
        return _Stream(self._inner.start_tls(*args, **options))


def note_speakers(client: Any) -> None:
    """Make the connections of an httpx client note who speaks on them. It has no public place for that; where a
    version of it differs, connections are left to their time limits."""
    for transport in (client._transport, *client._mounts.values()):
        pool: Any = getattr(transport, "_pool", None)
        if hasattr(pool, "_network_backend"):
            pool._network_backend = Network(pool._network_backend)
