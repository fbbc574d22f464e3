"""Reads what a client sends over HTTP: a bounded number of bytes in a bounded time."""

import io
import select
import socket
import time
from typing import Any

from agentkit.mcp.serving.envelope import Headers
from agentkit.mcp.serving.gate import Denied

MAX_BODY = 10_000_000
"""Maximum bytes of a message."""
_LINE = 1000
"""Maximum bytes of the line that begins a chunk."""


class TimedReader(io.RawIOBase):
    """What arrives on a connection, until a time. send_seconds: the timeout that sending has between the reads."""

    def __init__(self, connection: socket.socket, send_seconds: float) -> None:
        self._connection, self._send_seconds = connection, send_seconds
        self._end = 0.0

    def within(self, seconds: float) -> None:
        """From now on, all that is read has to arrive within this time."""
        self._end = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read at least a byte, none at the end. Raises TimeoutError."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        try:
            return self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(self._send_seconds)

    def is_at_end(self) -> bool:
        """Whether the client has closed the connection."""
        if hasattr(select, "POLLRDHUP"):  # tells it although there is something left to read
            poll = select.poll()
            poll.register(self._connection, select.POLLRDHUP)
            return bool(poll.poll(0))
        self._connection.settimeout(0.0)
        try:
            return self._connection.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self._connection.settimeout(self._send_seconds)


def read_body(source: io.BufferedIOBase, headers: Headers) -> bytes:
    """The body of a request. Raises Denied, TimeoutError and other OSErrors."""
    length, coding = headers.get("content-length"), headers.get("transfer-encoding", "").lower()
    if coding and (length is not None or coding != "chunked"):
        raise Denied(400, "the length of the body is not clear")
    if coding:
        return _chunks(source)
    if length is None:
        raise Denied(411, "the header Content-Length is missing")
    if not length.isascii() or not length.isdecimal() or len(length) > 18:
        raise Denied(400, "the header Content-Length is no number of bytes")
    if int(length) > MAX_BODY:
        raise Denied(413, f"a message has at most {MAX_BODY:,} bytes")
    return _exactly(source, int(length))


def _exactly(source: io.BufferedIOBase, size: int) -> bytes:
    content = source.read(size)
    if len(content) < size:
        raise ConnectionError("the connection ended in the middle of a request")
    return content


def _chunks(source: io.BufferedIOBase) -> bytes:
    content = bytearray()
    while size := _size_of_chunk(source.readline(_LINE)):
        if len(content) + size > MAX_BODY:
            raise Denied(413, f"a message has at most {MAX_BODY:,} bytes")
        content += _exactly(source, size)
        if _exactly(source, 2) != b"\r\n":
            raise Denied(400, "a chunk of the body does not end where it should")
    for _ in range(100):  # what follows the last chunk
        if source.readline(_LINE) in (b"\r\n", b"\n", b""):
            return bytes(content)
    raise Denied(400, "too much follows the body")


def _size_of_chunk(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not digits or len(digits) > 8 or digits.strip(b"0123456789abcdefABCDEF"):
        raise Denied(400, "a chunk of the body has no size")
    return int(digits, 16)
