"""Heads of responses that are read with one expression say what `http.client` reads in them."""

import http.client
import io
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentkit.net.bounded import BoundedResponse
from agentkit.net.plain_heads import plain_head

LINES = st.sampled_from(
    [
        *("HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.1  200 OK "),
        *("HTTP/1.0 200 OK", "HTTP/1.2 200 OK", "HTTP/2 200", "HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified"),
        *("HTTP/1.1 103 Early Hints", "HTTP/1.1 503 \xfcberlastet", "HTTP/1.1 2000 OK", "HTTP/1.1 599 a\tb", ""),
    ]
)
NAMES = st.sampled_from(
    [
        *("content-length", "Content-Length", "transfer-encoding", "connection", "content-type", "Content-Encoding"),
        *("x-request-id", "x odd", "", "x\xe4", "x-\x1f", "From ", "content-transfer-encoding"),
    ]
)
VALUES = st.sampled_from(
    [
        *("0", "5", " 5", "5 ", "+5", "-5", "5_0", "9" * 19, "5, 5", "chunked", "Chunked", "gzip, chunked", "close"),
        *("keep-alive, Close", "application/json", "text/event-stream; charset=utf-8", "multipart/mixed; boundary=b"),
        *("message/rfc822", "Message/delivery-status", " \tmultipart/x", "\xe4", "a\x00b", "\x0bmultipart/x", "a\r b"),
        "a: b",
    ]
) | st.text(st.characters(max_codepoint=255), max_size=8)
ENDS = st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n "])
HEADERS = st.lists(st.tuples(NAMES, st.sampled_from([":", ": ", " :", ""]), VALUES, ENDS).map("".join), max_size=5)
PLAIN = st.lists(
    st.sampled_from(["content-length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "a:\r\n"])
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8).map(lambda text: f"X-Any: {text}\r\n"),
    max_size=5,
)
BODIES = st.sampled_from(["", "12345", "5\r\n12345\r\n0\r\n\r\n", "1234567\r\n", "\r\n"])


class ByHttpClient(BoundedResponse):
    """A response whose head `http.client` reads."""

    def _begin_plainly(self) -> bool:
        return False


class Peer:
    """A socket from which a response comes, in pieces of at most `size` bytes."""

    def __init__(self, sent: bytes, size: int) -> None:
        self._sent, self._size = io.BytesIO(sent), size

    def makefile(self, mode: str, buffering: int) -> Any:
        sent, size = self._sent, self._size

        class Raw(io.RawIOBase):
            def readable(self) -> bool:
                return True

            def readinto(self, buffer: Any) -> int:
                piece = sent.read(min(len(buffer), size))
                buffer[: len(piece)] = piece
                return len(piece)

        return Raw()


def read(kind: type[BoundedResponse], sent: bytes, size: int, method: str) -> Any:
    """What a response says, with its body; or the error."""
    response: Any = kind(Peer(sent, size), method=method)  # type: ignore[arg-type]
    try:
        response.begin()
    except (http.client.HTTPException, OSError) as error:
        return type(error), str(error)
    names = ("status", "code", "reason", "version", "chunked", "chunk_left", "length", "will_close", "headers")
    said = [getattr(response, name) for name in names]
    headers = vars(said.pop())
    try:
        body = response.read(100)
    except (http.client.HTTPException, OSError) as error:
        body = type(error)
    return said, {**headers, "defects": list(map(repr, headers["defects"]))}, body, response.isclosed(), response.length


@given(
    line=LINES,
    headers=PLAIN | HEADERS,
    body=BODIES,
    size=st.sampled_from([1024, 1024, 30, 1]),
    method=st.sampled_from(["POST", "HEAD"]),
)
@example(line="HTTP/1.1 200 OK", headers=["content-length: 5\r\n"], body="12345", size=1024, method="POST")
@example(line="HTTP/1.1 200 OK", headers=["content-length: 5\r\n"], body="12345", size=1024, method="HEAD")
@example(line="HTTP/1.1 200 OK", headers=["a: b\r\n"] * 98, body="", size=1024, method="POST")
@example(line="HTTP/1.1 200 OK", headers=["a: b\r\n"] * 101, body="", size=1024, method="POST")
@example(line="HTTP/1.1 200 OK", headers=[f"a: {'b' * 2000}\r\n"], body="", size=1024, method="POST")
def test_a_plain_head_says_what_http_client_reads_in_it(
    line: str, headers: list[str], body: str, size: int, method: str
) -> None:
    sent = f"{line}\r\n{''.join(headers)}\r\n{body}".encode("latin-1")
    assert read(BoundedResponse, sent, size, method) == read(ByHttpClient, sent, size, method)


@pytest.mark.parametrize(
    "headers",
    [
        b"content-type: application/json\r\ncontent-length: 5\r\n",
        b"Date: Mon, 30 Nov 2026 10:00:00 GMT\r\nServer: uvicorn\r\nTransfer-Encoding: chunked\r\n",
        b"x-a: 1\r\nx-b:\r\nConnection: close\r\nContent-Length: 0\r\n",
    ],
)
def test_usual_heads_are_plain(headers: bytes) -> None:
    found = plain_head(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n12345")

    assert found is not None
    assert (found.status, found.reason, found.size) == (200, "OK", len(headers) + 19)
