"""The quick reading of headers is equal to that of `http.client`."""

import http.client
import io
import random

import pytest

from agentkit.net import plain_headers
from agentkit.net.plain_headers import Headers, parse_headers

PIECES = (
    *(b"Content-Type", b"content-length", b"X-A", b"From", b"From ", b"\xe9", b"!~", b"", b" ", b"\t"),
    *(b":", b": ", b":\t ", b"::", b"; a=b", b"12", b"gzip, br", b"\xe4\xf6", b"\x00", b"\x0b", b"\x85", b"\r", b" \r"),
)
"""What lines are put together of: plain ones, and what makes one no header."""

WELL_FORMED = b"Content-Type: application/json\r\nX-Two: a\r\nx-two:  b \r\nEmpty:\r\nNamed: \xe9\r\n\r\n"


def fields(read: http.client.HTTPMessage) -> list[object]:
    names = ["content-type", "X-TWO", "x-a", "From", "missing"]
    return [read.items(), [read.get(name, "none") for name in names], [read.get_all(name) for name in names]]


@pytest.mark.parametrize("seed", range(40))
def test_any_lines_are_read_as_http_client_reads_them(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        lines = [b"".join(chance.choices(PIECES, k=chance.randrange(5))) for _ in range(chance.randrange(5))]
        head = b"".join(line + chance.choice([b"\r\n", b"\r\n", b"\n"]) for line in lines)
        head += chance.choice([b"\r\n", b"\n", b""]) + b"body"
        mine, usual = io.BytesIO(head), io.BytesIO(head)
        read, expected = parse_headers(mine), http.client.parse_headers(usual)
        assert fields(read) == fields(expected), head
        assert read.get_payload() == expected.get_payload() or isinstance(read, Headers), head
        assert mine.tell() == usual.tell(), head


def test_plain_lines_are_read_the_quick_way_and_others_are_not() -> None:
    assert type(parse_headers(io.BytesIO(WELL_FORMED))) is Headers
    folded = WELL_FORMED.replace(b"X-Two: a\r\n", b"X-Two: a\r\n b\r\n")
    assert type(parse_headers(io.BytesIO(folded))) is http.client.HTTPMessage


@pytest.mark.parametrize("head", [b"A: b\r\n" * 101 + b"\r\n", b"A: " + b"b" * 70_000 + b"\r\n\r\n"])
def test_too_many_and_too_long_headers_are_refused_as_before(head: bytes) -> None:
    with pytest.raises(http.client.HTTPException) as mine:
        parse_headers(io.BytesIO(head))
    with pytest.raises(http.client.HTTPException) as usual:
        http.client.parse_headers(io.BytesIO(head))
    assert repr(mine.value) == repr(usual.value)


def test_responses_of_a_connection_are_read_the_quick_way() -> None:
    """`http.client` calls its `parse_headers` by that name, or this module would change nothing."""

    class Response(http.client.HTTPResponse):
        begin = plain_headers.begin

    class Socket:
        def makefile(self, *mode: object) -> io.BytesIO:
            return io.BytesIO(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    response = Response(Socket())  # type: ignore[arg-type]  # makes a file of it
    response.begin()
    assert type(response.headers) is Headers
    assert (response.read(), response.will_close) == (b"ok", True)
