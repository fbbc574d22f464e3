"""A response of a model server: its headers, and its body as it arrives, decompressed and of a bounded size."""

import contextlib
import http.client
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from agentkit.net.content_coding import FIRST_BYTES, compressions, corrected
from agentkit.net.dialling import failures
from agentkit.net.drain import DRAIN_SECONDS
from agentkit.net.exchanges import completed, heard
from agentkit.net.gates import Turn

PIECE_BYTES = 1 << 16
_LARGE_BYTES = 1 << 20
_WITHOUT_BODY = (204, 304)
_NOT_COMPRESSED = ("", "identity")


class BodyTooLargeError(Exception):
    """A body is larger than the limit."""


class Response:
    """A response whose body is read by `load`, or piece by piece by `pieces`.

    status_code: the HTTP status. headers: a mapping whose names have any case. method, url: of the request. key: the
    API key that was sent, "" for none. content: the body, once it is loaded. give_back: takes the connection once the
    body was read to its end. turn: at the gate of its server, if
    there is one. on_end: called when the body has ended, or was closed before.
    """

    def __init__(
        self,
        raw: http.client.HTTPResponse,
        method: str,
        url: str,
        key: str,
        connection: Any,
        give_back: Callable[[], Any],
    ) -> None:
        self.raw = raw
        self.status_code: int = raw.status
        self.headers: Any = raw.headers
        self.method = method
        self.url = url
        self.key = key
        self.content: bytes | None = None
        self.turn: Turn | None = None
        self.on_end: Callable[[], object] | None = None
        self._connection = connection
        self._give_back = give_back
        self._is_over = False
        self._rest: Iterator[bytes] = iter(())

    @property
    def media_type(self) -> str:
        """Its media type, without parameters; "" for none."""
        return str(self.headers.get("content-type") or "").split(";")[0].strip()

    def load(self, max_bytes: int) -> None:
        """Read the body. Raises BodyTooLargeError, OSError, http.client.HTTPException, urllib3's errors, and
        Aborted."""
        pieces, size = [], 0
        length = getattr(self.raw, "length", None)
        most = length if isinstance(length, int) and length <= max_bytes else PIECE_BYTES
        for piece in heard(self, self._read(self.raw.read, max(min(most, _LARGE_BYTES), 1))):
            size += len(piece)
            if size > max_bytes:
                self.close()
                raise BodyTooLargeError
            pieces.append(piece)
        self.content = pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def beginning(self, max_bytes: int) -> bytes:
        """The first bytes of the body, as many as arrive without an error. They are its content then."""
        if self.content is not None:
            return self.content
        self.content = b""
        with contextlib.suppress(*failures()), contextlib.closing(self):
            for piece in self.pieces():
                self.content += piece
                if len(self.content) > max_bytes:
                    break
        return self.content

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it arrives. Raises as `load` does."""
        self._rest = heard(self, self._read(self.raw.read1, PIECE_BYTES))
        return self._rest

    def drain(self) -> None:
        """Read the rest of a body whose content has arrived, so that the connection can be used again; see
        `net.drain`."""
        completed(self)
        if not self._is_over and self._connection is not None:
            self._connection.limit(DRAIN_SECONDS)
            with contextlib.suppress(Exception):  # the content is complete already
                deque(self._rest, maxlen=0)
        self._rest = iter(())

    def close(self) -> None:
        """Close the connection, unless the body was read to its end."""
        if not self._is_over:
            self._is_over = True
            self._rest = iter(())
            self.raw.close()
            if self._connection is not None:
                self._connection.close()
            if self.on_end is not None:
                self.on_end()

    def as_httpx(self) -> Any:
        """The same for the openai package's errors, without the body."""
        from agentkit.net.api_errors import as_httpx  # loads openai

        return as_httpx(self, b"")

    def __enter__(self) -> "Response":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _read(self, read: Callable[[int], bytes], size: int) -> Iterator[bytes]:
        raw: Any = self.raw
        try:
            if str(self.headers.get("content-encoding") or "").strip().lower() not in _NOT_COMPRESSED:
                yield from _decompressed(raw, read, size)
            else:
                yield from _as_it_is(raw, read, size)
            if self._connection is not None:
                self._connection.check()
        except BaseException as error:
            self._fail(error)
            raise
        self._end()

    def _fail(self, error: BaseException) -> None:
        """Close it after an error in its body; raise what has caused that, if it was the connection's end."""
        try:
            if self._connection is not None:
                self._connection.fail(error)
        finally:
            self.close()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self.raw.close()  # lets `http.client` send the next request
            if self.status_code in _WITHOUT_BODY and self._connection is not None:
                self._connection.close()  # some servers send one
            self._give_back()
            if self.on_end is not None:
                self.on_end()


def _as_it_is(raw: Any, read: Callable[[int], bytes], size: int) -> Iterator[bytes]:
    """The body as it is sent. Raises IncompleteRead where it is shorter than announced."""
    while (left := getattr(raw, "length", None)) != 0 and (piece := read(size)):
        yield piece
    if left and isinstance(left, int):
        raise http.client.IncompleteRead(b"", left)


def _decompressed(raw: Any, read: Callable[[int], bytes], size: int) -> Iterator[bytes]:
    """The body as its Content-Encoding says, decompressed by urllib3 in bounded pieces; as it is where a proxy has
    decompressed it and kept the header."""
    if not isinstance(raw.headers, http.client.HTTPMessage):  # played by vcrpy, which has decompressed it
        yield raw.read()
        return
    named = ", ".join(raw.headers.get_all("content-encoding", ()))
    names = corrected(compressions(named), raw.peek(FIRST_BYTES)[:FIRST_BYTES])
    if not names:
        yield from _as_it_is(raw, read, size)
        return
    import urllib3

    headers = urllib3.HTTPHeaderDict(raw.headers.items())
    headers["content-encoding"] = ", ".join(names)
    response = urllib3.HTTPResponse(raw, headers, raw.status, preload_content=False, original_response=raw)
    while piece := response.read1(PIECE_BYTES, decode_content=True):
        yield piece
