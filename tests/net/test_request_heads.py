"""A request whose head is that of the one before is sent as if it were the first on its connection."""

import http.client
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.net.connections import Connection
from agentkit.net.plain_http import PlainPool
from agentkit.net.sent_headers import SentHeaders

NAMES = st.sampled_from(
    ["accept", "accept-encoding", "authorization", "host", "content-type", "x-odd", "content-length"]
)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=12)
HEADERS = st.dictionaries(NAMES, VALUES, max_size=4)
REQUESTS = st.tuples(
    st.sampled_from(["POST", "GET"]),
    st.sampled_from(["/v1/chat/completions", "/v1/models", "/a?b=c%20d"]),
    HEADERS,
    st.none() | st.binary(max_size=40),
)


class Peer:
    """A connection whose other end is held here."""

    def __init__(self) -> None:
        own, self._other = socket.socketpair()
        self.connection = Connection(PlainPool("127.0.0.1", 8080, []))
        self.connection._http.sock = self.connection.sock = own
        self.connection._http.response_class = http.client.HTTPResponse

    def sent(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> bytes:
        """What is sent for a request, which is answered."""
        self._other.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        self.connection.exchange(method, target, body, SentHeaders(headers), 5.0).read()
        return self._other.recv(1 << 16)

    def close(self) -> None:
        self.connection.close()
        self._other.close()


def by_http_client(method: str, target: str, headers: dict[str, str], body: bytes | None) -> bytes:
    made: Any = http.client.HTTPConnection("127.0.0.1", 8080)
    pieces: list[bytes] = []
    made.send = pieces.append
    made.request(method, target, body, headers)
    return b"".join(pieces)


def lines(request: bytes) -> tuple[bytes, list[bytes], bytes]:
    """The first line, the headers in any order, and the body."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    return (
        first,
        sorted(name.lower() + b":" + value for name, _, value in (each.partition(b":") for each in headers)),
        body,
    )


@given(st.lists(REQUESTS, min_size=1, max_size=3), st.data())
def test_each_request_is_sent_as_the_first_of_its_connection_would_be(kinds: list[Any], data: st.DataObject) -> None:
    kept = Peer()
    try:
        for method, target, headers, body in data.draw(st.lists(st.sampled_from(kinds), min_size=2, max_size=6)):
            fresh = Peer()
            expected = fresh.sent(method, target, headers, body)
            fresh.close()
            assert kept.sent(method, target, dict(headers), body) == expected
            if headers.get("content-length") is None:
                assert lines(expected) == lines(by_http_client(method, target, headers, body))
    finally:
        kept.close()


def test_a_header_that_has_changed_is_sent_as_it_is() -> None:
    peer = Peer()
    for key in ("one", "two"):
        assert f"Bearer {key}".encode() in peer.sent("POST", "/v1", {"authorization": f"Bearer {key}"}, b"{}")
    peer.close()


@pytest.mark.parametrize("headers", [{"x": "a\r\nb: c"}, {"x\n": "a"}, {"x": "\u20ac"}])
def test_what_can_not_stand_in_a_head_is_refused_each_time(headers: dict[str, str]) -> None:
    for _ in range(2):
        peer = Peer()
        with pytest.raises(ValueError, match=r"."):
            peer.sent("POST", "/v1", headers, b"{}")
        peer.close()
