"""Responses of `http.client` that are read in bounded pieces, whatever a server sends."""

import http.client
import io
import socket
from typing import Any

from agentkit.net.plain_heads import plain_head

READ_BYTES = 1024
"""How much is read at a time of heads and of the lines between chunks: each connection that waits has such a buffer. A
body is read past it."""
CHUNK_BYTES = 65_536
"""Maximum number of bytes decompressed at a time."""
MAX_LINES = 1000
"""Maximum number of lines without a byte of the body between them: headers, interim responses (100 Continue) and
trailers."""


class BoundedResponse(http.client.HTTPResponse):
    """A response that is only read in pieces of a bounded size. `http.client` limits the headers itself."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(_Unbuffered(sock), *arguments, **options)  # type: ignore[arg-type]  # makes a file of it
        self.fp = _Bounded(self.fp, READ_BYTES)
        self._skipped = 0

    def begin(self) -> None:
        """Read the status and the headers. Raises IncompleteRead when the connection ends in the middle of them."""
        if not self._begin_plainly():
            reader: Any = self.fp
            super().begin()
            reader.may_end = True
        if self.chunked and self.fp is not None:
            self.fp = _Chunks(self.fp)  # type: ignore[assignment]
        elif self.length is None:
            self.length = _repeated_length(self.headers.get("content-length"))
            self.will_close = self.will_close if self.length is None else self._check_close()  # type: ignore[attr-defined]

    def _begin_plainly(self) -> bool:
        """Read a head in the plain form, if it is one and has arrived whole, and set what `http.client` would."""
        if self.headers is not None or self.debuglevel or self._method == "HEAD":
            return False
        head = plain_head(self.fp.peek())
        if head is None:
            return False
        self.fp.read(head.size)
        self.code = self.status = head.status
        self.reason, self.version = head.reason, 11
        self.headers = self.msg = http.client.HTTPMessage()
        for name, value in head.headers:
            self.headers.set_raw(name, value)
        self.headers.set_payload("")
        self.length, self.chunked = head.length, head.length is None
        self.will_close = head.closes
        if self.chunked:
            self.chunk_left = None
        return True

    def _read_status(self) -> tuple[str, int, str]:
        """The status line of the answer, behind all interim responses: http.client itself skips only 100."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]  # not in its types
            reader: Any = self.fp
            reader.may_end = False
            if status == 101 or not 100 <= status < 200:
                return version, status, reason
            headers: Any = _Chunks(self.fp)
            http.client.parse_headers(headers)
            self._skipped += 1 + headers.lines
            if self._skipped > MAX_LINES:
                raise OSError(_TOO_MANY_LINES)


def _repeated_length(text: str | None) -> int | None:
    """The length in a list of equal ones (`42, 42`), as proxies make it of two headers; None for none."""
    lengths = {each.strip() for each in (text or "").split(",")}
    only = lengths.pop()
    return int(only) if not lengths and only.isascii() and only.isdecimal() and len(only) < 19 else None


class _Unbuffered:
    """A socket of which an unbuffered file is made."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, mode: Any) -> Any:
        return self._sock.makefile(mode, buffering=0)


class _Bounded(io.BufferedReader):
    """A reader that refuses to read to the end, which may never come. may_end: whether the connection may end before
    the next line, and is not broken then."""

    may_end = True

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise OSError("a body, or a chunk, of unknown length")
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        """A line; `http.client` takes the end of the connection for the end of the headers, and a part of the size of a
        chunk for its size. Raises IncompleteRead when the connection ends within it."""
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size and (line or not self.may_end):
            raise http.client.IncompleteRead(line)
        return line


class _Chunks:
    """What `http.client` reads a body in chunks from, with lines of a bounded length and number. lines: that were read
    since the last piece.

    Otherwise a server that sends trailers, or empty lines, without end would never be left.
    """

    def __init__(self, reader: io.BufferedReader) -> None:
        self._reader = reader
        self.lines = 0
        self.readinto, self.read1, self.peek = reader.readinto, reader.read1, reader.peek
        self.flush, self.close, self.fileno = reader.flush, reader.close, reader.fileno

    @property
    def closed(self) -> bool:
        return self._reader.closed

    def read(self, size: int | None = -1, /) -> bytes:
        self.lines = 0
        return self._reader.read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        self.lines += 1
        if self.lines > MAX_LINES:
            raise OSError(_TOO_MANY_LINES)
        return self._reader.readline(CHUNK_BYTES + 1 if size is None or size < 0 else size)


_TOO_MANY_LINES = f"more than {MAX_LINES:,} lines of headers or trailers"
