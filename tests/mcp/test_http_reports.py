"""What users of other MCP clients have reported of servers over HTTP, each kind once more with this one."""

import json
from collections.abc import Callable, Iterator

import pytest

from agentkit.mcp.channel import Patience
from agentkit.mcp.errors import Gone, MCPError
from agentkit.mcp.http.addresses import redirected
from tests.mcp.http_bad import Exchange, HttpBad, event
from tests.mcp.test_http import client_of, lost, rpc_error
from tests.mcp.test_http_faults import call, connected
from tests.support.waiting import until

UNKNOWN_SESSION = {
    "401 of the Rust SDK": lost(401, b"Unauthorized: Session not found"),
    "503": lost(503, rpc_error(-32000, "Unknown or expired session")),
    "500": lost(500, b'{"error": "Invalid session id"}'),
    "404 in other words": lost(404, rpc_error(-32000, "Not Found: Unknown Mcp-Session-Id header")),
}


@pytest.mark.parametrize("how", UNKNOWN_SESSION)
def test_a_server_that_has_forgotten_the_session_says_so_in_many_ways(how: str) -> None:
    with HttpBad() as server, client_of(server) as client:
        client.server()

        def lose(it: Exchange) -> None:
            server.lose_session = None
            UNKNOWN_SESSION[how](it)

        server.lose_session = lose
        assert client.call_tool("fault", {"fault": "none"}, read_only=how == "500")["content"]


ACCEPTED = {
    "200, empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "200, null": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nnull",
    "202, text": b"HTTP/1.1 202 Accepted\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nOK",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "202, a stream": b"HTTP/1.1 202 Accepted\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
}


@pytest.mark.parametrize("how", ACCEPTED)
def test_a_notification_is_taken_however_it_is_answered(how: str) -> None:
    def accept(it: Exchange) -> bool:
        if it.request.message.get("method") != "notifications/initialized":
            return False
        it.send(ACCEPTED[how])
        return True

    with HttpBad(post=accept) as server, client_of(server) as client:
        assert client.call_tool("fault", {"fault": "none"})["content"]


ODD_STREAMS: dict[str, Callable[[bytes], bytes]] = {
    "LF": lambda data: event(data, event="message"),
    "CRLF": lambda data: event(data, event="message").replace(b"\n", b"\r\n"),
    "CR": lambda data: event(data, event="message").replace(b"\n", b"\r"),
    "several lines": lambda data: b"".join(b"data: %s\n" % line for line in indented(data)) + b"\n",
    "several lines, CRLF": lambda data: b"".join(b"data:%s\r\n" % line for line in indented(data)) + b"\r\n",
    "without the last blank line": lambda data: b"data: " + data,
    "comments between": lambda data: b": a\n\n: b\nid: 1\n: c\ndata: " + data + b"\n: d\n\n",
    "other events before": lambda data: b"event: ping\ndata: now\n\nevent: endpoint\ndata: /x\n\n" + event(data),
    "JSON in several lines": lambda data: b"\n".join(indented(data)),
}


def indented(data: bytes) -> list[bytes]:
    return json.dumps(json.loads(data), indent=1, ensure_ascii=False).encode().split(b"\n")


@pytest.mark.parametrize("how", ODD_STREAMS)
def test_a_stream_is_read_in_all_its_forms_cut_anywhere(how: str) -> None:
    def sent(it: Exchange) -> bool:
        if it.request.message.get("method") != "tools/call":
            return False
        message = {"jsonrpc": "2.0", "id": it.request.message["id"], "result": {"content": [{"text": "größer 世界"}]}}
        it.begin(kind="text/event-stream")
        for piece in cut(ODD_STREAMS[how](json.dumps(message, ensure_ascii=False).encode())):
            it.chunk(piece)
        it.end()
        return True

    with HttpBad(post=sent) as server:
        channel = connected(server)
        assert call(channel, "none", patience=Patience(20))["content"] == [{"text": "größer 世界"}]
        channel.close()


def cut(data: bytes) -> Iterator[bytes]:
    return (data[position : position + 1] for position in range(len(data)))


@pytest.mark.parametrize("status", [401, 403, 500])
def test_other_refusals_are_no_sign_of_an_old_server(status: int) -> None:
    def refuse(it: Exchange) -> bool:
        it.answer(b"no", status, kind="text/plain")
        return True

    with HttpBad(post=refuse) as server, client_of(server) as client:
        with pytest.raises(MCPError) as caught:
            client.server()
        assert caught.value.code == status
        assert "GET" not in [each.method for each in server.requests]


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "text/html"])
def test_a_get_that_is_answered_by_a_page_is_not_repeated(kind: str) -> None:
    get = lambda it: it.answer(b"MCP is served here by POST", 200, kind=kind)  # noqa: E731
    with HttpBad(get=get, capabilities={"tools": {"listChanged": True}}) as server, client_of(server) as client:
        client.server()
        until(lambda: "GET" in [each.method for each in server.requests])
        for _ in range(5):
            client.call_tool("fault", {"fault": "none"})
        assert [each.method for each in server.requests].count("GET") == 1


def test_a_stream_that_is_closed_again_and_again_is_given_up() -> None:
    def close(it: Exchange) -> None:
        it.begin(kind="text/event-stream")
        it.chunk(b"id: same\nretry: 0\ndata:\n\n")
        it.end()

    def begin(it: Exchange) -> bool:
        if it.request.message.get("method") != "tools/call":
            return False
        close(it)
        return True

    with HttpBad(get=close, post=begin) as server:
        channel = connected(server)
        with pytest.raises(Gone, match="without an answer"):
            call(channel, "none", patience=Patience(30))
        channel.close()
        assert [each.method for each in server.requests].count("GET") == 3


def test_a_limit_of_requests_that_lasts_is_told_with_its_time() -> None:
    with HttpBad() as server:
        channel = connected(server)
        with pytest.raises(MCPError, match=r"429.*slow down.*after 3600 s"):
            call(channel, "429 for an hour", patience=Patience(30))
        channel.close()


def test_an_error_of_the_old_transport_is_told_at_once() -> None:
    def get(it: Exchange) -> None:
        it.begin(kind="text/event-stream")
        it.chunk(b"event: endpoint\ndata: messages\n\n")
        it.hang()

    def refuse(it: Exchange) -> bool:
        it.answer(b"no such session" if it.request.path == "/messages" else b"", 404, kind="text/plain")
        return True

    with HttpBad(get=get, post=refuse) as server, client_of(server) as client:
        with pytest.raises(MCPError, match="no such session"):
            client.server()
        assert "/messages" in [each.path for each in server.requests]


REDIRECTS: list[tuple[str, str, str | None]] = [
    ("https://h/mcp", "/mcp/", "https://h/mcp/"),
    ("https://h/mcp", "http://h/mcp/", "https://h/mcp/"),
    ("https://h:8443/mcp", "http://h/mcp/", "https://h:8443/mcp/"),
    ("https://h/mcp", "http://h:8080/mcp/", None),
    ("https://h/mcp", "http://other/mcp/", None),
    ("https://h/mcp", "//h.evil.example/mcp/", None),
    ("http://h/mcp", "https://h/mcp", "https://h/mcp"),
    ("http://h:8000/mcp", "https://h/mcp", None),
    ("http://h:8000/mcp", "http://h:8001/mcp", None),
    ("http://h/mcp", "http://h:80/mcp/", "http://h:80/mcp/"),
    ("http://h/mcp", "http://h@evil.example/", None),
    ("http://h/mcp", "http://[", None),
    ("http://h/mcp", "javascript:alert(1)", None),
]


@pytest.mark.parametrize(("base", "location", "followed"), REDIRECTS)
def test_a_redirect_behind_a_proxy_that_ends_tls_stays_on_tls(base: str, location: str, followed: str | None) -> None:
    assert redirected(base, location) == followed
