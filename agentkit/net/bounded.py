"""Responses of `http.client` that are read in bounded pieces, whatever a server sends."""

import http.client
import io
import socket
from typing import Any

CHUNK_BYTES = 65_536
"""Maximum number of bytes decompressed at a time."""
MAX_LINES = 1000
"""Maximum number of lines without a byte of the body between them: headers, interim responses (100 Continue) and
trailers."""


class BoundedResponse(http.client.HTTPResponse):
    """A response that is only read in pieces of a bounded size."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = _Bounded(self.fp.detach())

    def _read_status(self) -> tuple[str, int, str]:
        """The status line of the answer, behind all interim responses: http.client itself skips only 100."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]  # not in its types
            if not 101 < status < 200:
                return version, status, reason
            http.client._read_headers(self.fp)  # type: ignore[attr-defined]


class _Bounded(io.BufferedReader):
    """A reader with lines of a bounded length and number that refuses to read to the end.

    Otherwise an HTTP chunk with the length -1 would be read to the end into memory, past the size limit, and a server
    that sends trailers without end would never be left.
    """

    lines = 0

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise OSError("a chunk of unknown length")
        self.lines = 0
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        self.lines += 1
        if self.lines > MAX_LINES:
            raise OSError(f"more than {MAX_LINES:,} lines of headers or trailers")
        return super().readline(CHUNK_BYTES + 1 if size is None or size < 0 else size)
