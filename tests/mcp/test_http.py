"""The channel over HTTP: sessions, headers, credentials, redirects, the streams of old servers."""

import gc
import itertools
import json
import logging
import os
import socket
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.auth import AuthBase, HTTPDigestAuth

from agentkit.errors import ConfigurationError, ToolError
from agentkit.mcp import MCP
from agentkit.mcp.channel import Message, Patience
from agentkit.mcp.client import Client
from agentkit.mcp.errors import Gone, MCPError, Slow, Unreadable
from agentkit.mcp.http import Http, streams
from agentkit.mcp.http.sending import MAX_COOKIES
from agentkit.mcp.questions import Question
from agentkit.net import abort
from tests.mcp.http_bad import MODERN, SESSION, VERSION, Exchange, HttpBad, event
from tests.mcp.test_http_faults import call, connected, request
from tests.support.tls_proxy import serve_tls
from tests.support.waiting import until

SECRET = "sekret-value-of-a-token"


def client_of(server: HttpBad, **options: Any) -> Client:
    return Client(lambda heard: Http(server.url, heard), "bad", 20, **options)


def test_an_old_server_is_told_version_and_session_and_that_the_session_ends() -> None:
    with HttpBad() as server:
        channel = connected(server)
        assert channel.session == SESSION
        call(channel, "none", patience=Patience(20))
        channel.close()
        channel.close()
        begin, note, asked, end = server.requests
    assert begin.headers["accept"] == "application/json, text/event-stream"
    assert "mcp-protocol-version" not in begin.headers
    for each in (note, asked, end):
        assert each.headers["mcp-session-id"] == SESSION
        assert each.headers["mcp-protocol-version"] == VERSION
        assert "mcp-method" not in each.headers
    assert end.method == "DELETE"


def test_a_new_server_is_told_method_and_name_and_no_session() -> None:
    with HttpBad(with_session=False) as server, client_of(server) as client:
        client.call_tool("fault", {"fault": "none"}, headers={"Mcp-Param-Region": "us"})
        client.call_tool("größer", {"fault": "none"})
        client.request("resources/read", {"uri": "file:///a%20b"})
        discover, first, second, third = server.requests
    assert {each.headers["mcp-protocol-version"] for each in server.requests} == {MODERN}
    assert (discover.headers["mcp-method"], first.headers["mcp-method"]) == ("server/discover", "tools/call")
    assert (first.headers["mcp-name"], first.headers["mcp-param-region"]) == ("fault", "us")
    assert second.headers["mcp-name"] == "=?base64?Z3LDtsOfZXI=?="
    assert third.headers["mcp-name"] == "file:///a%20b"
    assert not any("mcp-session-id" in each.headers for each in server.requests)


def lost(status: int, body: bytes) -> Callable[[Exchange], None]:
    return lambda it: it.answer(body, status, kind="application/json" if body.startswith(b"{") else "text/plain")


def rpc_error(code: int, message: str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}).encode()


LOST = {
    "404": lost(404, b""),
    "404 of the TypeScript SDK": lost(404, rpc_error(-32001, "Session not found")),
    "404 of the Python SDK": lost(404, rpc_error(-32600, "Session has been terminated")),
    "400 of the everything server": lost(400, rpc_error(-32000, "Bad Request: No valid session ID provided")),
    "400 after a restart": lost(400, rpc_error(-32000, "Bad Request: Server not initialized")),
    "400 in words": lost(400, b"Invalid or missing session ID"),
}


@pytest.mark.parametrize("how", LOST)
def test_a_lost_session_is_opened_anew_and_the_call_sent_once_more(how: str) -> None:
    with HttpBad() as server, client_of(server) as client:
        client.call_tool("fault", {"fault": "none"})

        def lose(it: Exchange) -> None:
            server.lose_session = None
            LOST[how](it)

        server.lose_session = lose
        seen = len(server.requests)
        assert client.call_tool("fault", {"fault": "none"})["content"]
        assert [each.message.get("method") for each in server.requests[seen:]].count("tools/call") == 2


def test_a_session_that_is_lost_again_and_again_is_not_opened_for_ever() -> None:
    with HttpBad() as server, client_of(server) as client:
        client.server()
        server.lose_session = LOST["404"]
        with pytest.raises(Gone, match="session"):
            client.call_tool("fault", {"fault": "none"})
        assert server.methods().count("initialize") <= 3


OTHER_SESSIONS = {
    "about an argument": (400, rpc_error(-32602, "no such session_name")),
    "of a tool": (200, rpc_error(-32000, "charged, but the checkout session could not be closed")),
    "of a database": (500, rpc_error(-32603, "database session expired")),
    "of a start": (500, b"Database not initialized"),
    "of another session": (400, b"the browser session is not found"),
}


@pytest.mark.parametrize("what", OTHER_SESSIONS)
def test_an_error_that_mentions_a_session_is_no_lost_one(what: str) -> None:
    with HttpBad() as server, client_of(server) as client:
        client.server()
        server.lose_session = lost(*OTHER_SESSIONS[what])
        with pytest.raises(MCPError):
            client.call_tool("fault", {})
        assert server.methods().count("initialize") == 1
        assert server.methods().count("tools/call") == 1


def test_a_call_with_effects_that_may_have_run_is_not_sent_again_when_the_session_is_lost() -> None:
    with HttpBad() as server, client_of(server) as client:
        client.server()
        server.lose_session = lost(500, b"Session not found")
        with pytest.raises(Gone, match="not known whether the call had an effect"):
            client.call_tool("fault", {})
        assert server.methods().count("tools/call") == 1
        server.lose_session = None
        assert client.call_tool("fault", {"fault": "none"})["content"]


def test_a_server_that_has_been_upgraded_is_asked_for_its_version_anew() -> None:
    def post(it: Exchange) -> bool:
        is_old = it.request.headers.get("mcp-protocol-version") == VERSION
        if not server.with_session and is_old:
            it.answer(rpc_error(-32000, f"Bad Request: Unsupported protocol version: {VERSION}"), 400)
        return not server.with_session and is_old

    with HttpBad(post=post) as server, client_of(server) as client:
        client.call_tool("fault", {"fault": "none"})
        server.with_session = False
        assert client.call_tool("fault", {"fault": "none"})["content"]
        assert client.server().version == MODERN


def test_a_server_that_was_started_again_is_found_again() -> None:
    with HttpBad() as server, client_of(server) as client:
        client.call_tool("fault", {"fault": "none"})
        server.drop_connections()
        for _ in range(3):
            assert client.call_tool("fault", {"fault": "none"}, read_only=True)["content"]


class Signed(AuthBase):
    """Adds a header that depends on the request."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        self.calls += 1
        r.headers["Authorization"] = f"Bearer {SECRET}-{self.calls}"
        return r


def test_auth_is_asked_for_each_request_streamed_too() -> None:
    auth = Signed()
    with HttpBad() as server:
        channel = connected(server, auth=auth)
        call(channel, "progress, then the answer", True, Patience(20), pause=0)
        channel.close()
        sent = [each.headers["authorization"] for each in server.requests]
    assert sent == [f"Bearer {SECRET}-{number}" for number in range(1, len(sent) + 1)]


def test_auth_that_answers_a_challenge_works() -> None:
    def challenge(it: Exchange) -> bool:
        if "authorization" in it.request.headers:
            return False
        it.answer(b"", 401, WWW_Authenticate='Digest realm="r", nonce="n", qop="auth"')
        return True

    with HttpBad(post=challenge) as server:
        channel = connected(server, auth=HTTPDigestAuth("user", "password"))
        assert call(channel, "none", patience=Patience(20))
        channel.close()


def test_auth_that_raises_is_told_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def broken(r: requests.PreparedRequest) -> requests.PreparedRequest:
        raise LookupError(SECRET)

    def no_header(r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["Authorization"] = f"{SECRET}\n"
        return r

    with HttpBad() as server:
        for auth in (broken, no_header):
            channel = Http(server.url, lambda message: None, auth=auth)  # type: ignore[arg-type]
            with pytest.raises(Gone, match="auth=") as caught:
                call(channel, "none", patience=Patience(20))
            assert SECRET not in "".join(traceback.format_exception(caught.value))
            assert not caught.value.sent
            channel.close()
    assert server.requests == []
    assert SECRET not in caplog.text


@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Bearer {SECRET}"}], ids=["without", "with"])
def test_401_says_what_to_do(headers: dict[str, str]) -> None:
    def ask(it: Exchange) -> bool:
        it.answer(b"who are you?", 401, kind="text/plain")
        return True

    with HttpBad() as server:
        server.post = ask
        client = Client(lambda heard: Http(server.url, heard, headers=headers), "bad", 20)
        with pytest.raises(MCPError, match=r"401.*who are you") as caught:
            client.server()
        client.close()
    assert ("does not accept the credentials" if headers else 'headers={"Authorization"') in str(caught.value)
    assert caught.value.code == 401


def test_what_authorizes_is_in_no_error_log_or_repr(caplog: pytest.LogCaptureFixture) -> None:
    headers = {"Authorization": f"Bearer {SECRET}", "X-Secret": SECRET[::-1]}
    caplog.set_level("DEBUG", "agentkit")
    with HttpBad() as server:
        url = server.url.replace("127.0.0.1", "user:pass-word-1@127.0.0.1") + "?key=" + SECRET
        channel = Http(url, lambda message: None, headers=headers)
        for fault in ("repeats the token", "status 500", "dropped", "page", "hangs before the headers"):
            with pytest.raises((Gone, Slow, MCPError)) as caught:
                call(channel, fault)
            told = f"{caught.value} {channel!r} {caplog.text}"
            assert not any(each in told for each in (SECRET, SECRET[::-1], "pass-word-1"))
        channel.close()


def test_a_token_of_auth_is_in_no_error_of_a_successful_response() -> None:
    def post(it: Exchange) -> bool:
        it.answer(it.error(-32000, f"bad {it.request.headers['authorization']}"))
        return True

    with HttpBad(with_session=False, post=post) as server:
        channel = connected(server, auth=Signed())
        for streamed in (False, True):
            with pytest.raises(MCPError, match=r"bad \(key\)$"):
                call(channel, "none", streamed, Patience(20))
        channel.close()


def test_a_call_is_not_sent_again_when_a_proxy_says_that_the_service_is_unavailable() -> None:
    def post(it: Exchange) -> bool:
        it.answer(b"busy", 503, kind="text/plain", Retry_After="0")
        return True

    with HttpBad(with_session=False, post=post) as server:
        channel = connected(server)
        with pytest.raises(Gone, match="503"):
            call(channel, "none", patience=Patience(20))
        assert server.methods() == ["tools/call"]
        with pytest.raises(Gone, match="503"):
            channel.exchange(request("tools/list"), Patience(20))
        assert server.methods() == ["tools/call", *["tools/list"] * 3]
        channel.close()


def test_the_cookies_of_a_server_are_sent_back_and_bounded() -> None:
    def post(it: Exchange) -> bool:
        count = it.server.count("cookies")
        it.answer(it.text(), Set_Cookie=f"c{count}={'x' * (5_000 if count == 2 else 1)}")
        return True

    with HttpBad(with_session=False, post=post) as server:
        channel = connected(server)
        for _ in range(MAX_COOKIES + 5):
            call(channel, "none", patience=Patience(20))
        channel.close()
        sent = server.requests[-1].headers["cookie"].split("; ")
    assert "c1=x" in sent
    assert len(sent) == MAX_COOKIES
    assert not any(each.startswith("c2=") for each in sent)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_another_server_is_not_followed(status: int) -> None:
    with HttpBad() as other, HttpBad(elsewhere=other.url.replace("127.0.0.1", "localhost")) as server:
        channel = connected(server, headers={"Authorization": f"Bearer {SECRET}"})
        with pytest.raises(MCPError, match=r"redirects .*localhost.*not followed"):
            call(channel, f"redirect {status} elsewhere", patience=Patience(20))
        channel.close()
        assert other.requests == []


def test_a_redirect_that_adds_a_slash_keeps_the_request() -> None:
    def add_slash(it: Exchange) -> bool:
        if it.request.path == "/mcp":
            it.answer(b"", 307, Location="/mcp/")
            return True
        return False

    with HttpBad(post=add_slash) as server, client_of(server) as client:
        assert client.call_tool("fault", {"fault": "none"})["content"]
        paths = [(each.path, each.message["method"]) for each in server.requests if each.message.get("method")]
    assert ("/mcp/", "initialize") in paths
    assert ("/mcp/", "tools/call") in paths


BAD_OPTIONS: list[tuple[Any, dict[str, Any], str]] = [
    ("localhost:8000/mcp", {}, "not the URL"),
    ("ftp://host/mcp", {}, "not the URL"),
    ("http://", {}, "not the URL"),
    ("http://host:port/", {}, "not the URL"),
    ("http://ho st/", {}, "not the URL"),
    (None, {}, "has to be a text"),
    ("http://h/", {"headers": {"Authorization": f"Bearer {SECRET}\n"}}, "line break"),
    ("http://h/", {"headers": {"X": f"{SECRET} "}}, "can't be sent"),
    ("http://h/", {"headers": {"X": f"{SECRET}é"}}, "can't be sent"),
    ("http://h/", {"headers": {"X": 5}}, "has to be a text"),
    ("http://h/", {"headers": {"X Y": "z"}}, "name"),
    ("http://h/", {"headers": {"Mcp-Session-Id": "z"}}, "leave it out"),
    ("http://h/", {"headers": [("a", "b")]}, "mapping"),
    ("http://h/", {"auth": SECRET}, "AuthBase"),
]


@pytest.mark.parametrize(("url", "options", "words"), BAD_OPTIONS, ids=[str(n) for n in range(len(BAD_OPTIONS))])
def test_what_can_not_work_is_refused_at_once(url: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        Http(url, lambda message: None, **options)
    assert SECRET not in str(caught.value)


def test_16_threads_share_a_channel_and_its_connections() -> None:
    with HttpBad() as server:
        channel = connected(server)
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(lambda n: call(channel, "none", n % 2 == 0, Patience(60)), range(320)))
        channel.close()
        connections = server.accepted
    assert len(found) == 320
    assert connections <= 40


def test_a_message_that_is_no_json_is_told() -> None:
    channel = Http("http://127.0.0.1:9/", lambda message: None)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (float("nan"), deep):
        with pytest.raises(ToolError, match="JSON") as caught:
            channel.exchange(request("tools/call", value=value), Patience(5))
        assert not isinstance(caught.value, MCPError)  # the server was not asked
    channel.close()


def test_after_close_calls_say_so_and_those_in_flight_end() -> None:
    with HttpBad() as server:
        channel = connected(server)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(call, channel, "hangs before the headers", False, Patience(60))
            until(lambda: "tools/call" in server.methods())
            channel.close()
            with pytest.raises(Gone, match="closed"):
                waiting.result(20)
        with pytest.raises(Gone) as caught:
            call(channel, "none")
    assert not caught.value.sent


def test_the_calls_of_a_closed_channel_leave_no_connection_and_no_thread() -> None:
    with HttpBad(with_session=False) as server:
        channel = connected(server)
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(call, channel, "hangs before the headers", False, Patience(60)) for _ in range(4)]
            until(lambda: len(server.requests) == 4)
            channel.close()
            for each in waiting:
                with pytest.raises(Gone):
                    each.result(20)
        until(lambda: server.open_connections() == 0)


@pytest.mark.parametrize("with_session", [True, False], ids=["old", "new"])
@pytest.mark.parametrize("streamed", [True, False])
def test_calls_that_are_left_within_a_response_that_ends_with_its_connection_leave_none(
    streamed: bool, with_session: bool
) -> None:
    with HttpBad(with_session=with_session) as server:
        channel = connected(server)
        for fault in ("half of the body", "keep-alives only", "endless body"):
            for _ in range(3):
                with pytest.raises((Slow, Unreadable)):  # an endless one may be too large before
                    call(channel, fault, streamed, Patience(0.2), closing=True)
        until(lambda: server.open_connections() <= 4)  # what is kept, and what tells that a call was cancelled
        channel.close()
        until(lambda: gc.collect() >= 0 and server.open_connections() == 0)


@pytest.mark.parametrize("keeps_alive", [True, False])
def test_a_stream_that_ends_with_its_connection_ends_with_its_channel(keeps_alive: bool) -> None:
    opened: list[Exchange] = []

    def get(it: Exchange) -> None:
        it.closing = True
        it.begin(kind="text/event-stream")
        opened.append(it)
        while keeps_alive and not it.server.is_over.wait(0.05):
            it.chunk(b": ping\n\n")
        it.hang()

    with HttpBad(get=get, capabilities={"tools": {"listChanged": True}}) as server:
        channel = connected(server)
        until(lambda: opened)
        channel.close()
        until(lambda: server.open_connections() == 0)
        forgotten = connected(server)
        until(lambda: len(opened) == 2)
        del forgotten
        until(lambda: server.open_connections() <= 1)


def test_a_call_that_is_answered_on_the_stream_leaves_no_connection() -> None:
    streams: list[Exchange] = []

    def get(it: Exchange) -> None:
        it.begin(kind="text/event-stream")
        streams.append(it)
        it.hang()

    def post(it: Exchange) -> bool:
        if it.request.message.get("method") != "tools/call":
            return False
        until(lambda: streams)
        streams[0].chunk(event(it.text()))
        it.hang()
        return True

    with HttpBad(get=get, post=post, capabilities={"tools": {"listChanged": True}}) as server:
        channel = connected(server)
        for _ in range(3):
            assert call(channel, "none", patience=Patience(20))["content"]
        until(lambda: server.open_connections() <= 2)  # the stream, and one that is kept
        channel.close()


def test_close_waits_for_no_server() -> None:
    with HttpBad() as server:
        channel = connected(server)
        server.delete = Exchange.hang
        started = time.monotonic()
        channel.close()
        assert time.monotonic() - started < 1 + 5


# the stream of an old server's own messages


def sends(*pieces: bytes, stays_open: bool = True) -> Callable[[Exchange], None]:
    def get(it: Exchange) -> None:
        it.begin(kind="text/event-stream")
        for each in pieces:
            it.chunk(each)
        if stays_open:
            it.hang()
        else:
            it.end()

    return get


CHANGED = event(b'{"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}')


def test_the_stream_is_opened_where_a_server_may_have_something_to_say_only() -> None:
    with HttpBad(get=sends(CHANGED)) as server:
        channel = connected(server)
        call(channel, "none", patience=Patience(20))
        channel.close()
        assert "GET" not in [each.method for each in server.requests]


def test_changed_tools_are_told_by_the_stream() -> None:
    changed = threading.Event()
    with HttpBad(get=sends(CHANGED), capabilities={"tools": {"listChanged": True}}) as server:
        with client_of(server, changed=changed.set) as client:
            client.server()
            assert changed.wait(20)
            started = time.monotonic()
        assert time.monotonic() - started < 5
        got = next(each for each in server.requests if each.method == "GET")
    assert got.headers["accept"] == "text/event-stream"
    assert got.headers["mcp-session-id"] == SESSION


def test_a_question_on_the_stream_or_within_a_call_is_answered() -> None:
    asked: list[Question] = []

    def ask(question: Question) -> dict[str, str]:
        asked.append(question)
        return {"name": "x"}

    question = event(b'{"jsonrpc": "2.0", "id": "q0", "method": "elicitation/create", "params": {"message": "Now?"}}')
    with HttpBad(get=sends(question)) as server, client_of(server, ask=ask) as client:
        client.server()
        until(lambda: server.responses)
        result = client.call_tool("fault", {"fault": "asks, then answers"})
        assert json.loads(result["content"][0]["text"])["action"] == "accept"
        assert [each.message for each in asked] == ["Now?", "Sure?"]
        assert [each["id"] for each in server.responses] == ["q0", "q1"]


def test_no_call_is_sent_before_the_stream_is_open_on_which_it_may_ask() -> None:
    before: list[str] = []

    def get(it: Exchange) -> None:
        it.server.is_over.wait(0.5)
        before.extend(it.server.methods())
        sends()(it)

    with HttpBad(get=get) as server, client_of(server, ask=lambda question: {}) as client:
        assert client.call_tool("fault", {"fault": "asks, then answers"})["content"]
    assert "GET" in before
    assert "tools/call" not in before


@pytest.mark.parametrize("status", [405, 400, 404, 401])
def test_a_server_without_the_stream_is_asked_once(status: int) -> None:
    get = lambda it: it.answer(b"", status, kind="text/plain")  # noqa: E731
    with HttpBad(get=get, capabilities={"tools": {"listChanged": True}}) as server, client_of(server) as client:
        client.server()
        until(lambda: "GET" in [each.method for each in server.requests])
        for _ in range(5):
            client.call_tool("fault", {"fault": "none"})
        assert [each.method for each in server.requests].count("GET") == 1


def test_a_stream_that_ends_at_once_is_opened_ever_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FIRST_WAIT", 0.05)
    at: list[float] = []

    def get(it: Exchange) -> None:
        at.append(time.monotonic())
        sends(b"id: 7\ndata:\n\n", stays_open=False)(it)

    with HttpBad(get=get, capabilities={"tools": {"listChanged": True}}) as server, client_of(server) as client:
        client.server()
        until(lambda: len(at) >= 5)
        gaps = [after - before for before, after in itertools.pairwise(at)]
        assert gaps[3] > 0.7  # 0.1, 0.2, 0.4, 0.8
        gets = [each for each in server.requests if each.method == "GET"]
    assert "last-event-id" not in gets[0].headers
    assert gets[1].headers["last-event-id"] == "7"


def test_a_stream_that_breaks_off_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FIRST_WAIT", 0.05)
    changes: list[None] = []

    def get(it: Exchange) -> None:
        it.begin(kind="text/event-stream")
        it.chunk(CHANGED)
        it.is_kept = False

    with HttpBad(get=get, capabilities={"tools": {"listChanged": True}}) as server:
        with client_of(server, changed=lambda: changes.append(None)) as client:
            client.server()
            until(lambda: len(changes) >= 3)


def test_a_question_on_the_stream_of_a_call_is_that_of_the_call() -> None:
    both_asked = threading.Barrier(2)

    def post(it: Exchange) -> bool:
        if it.request.message.get("method") != "tools/call":
            return False
        number = it.request.arguments["number"]
        it.begin(kind="text/event-stream")
        question = {"method": "elicitation/create", "id": number, "params": {"message": "Sure?"}}
        it.chunk(event(json.dumps({"jsonrpc": "2.0", **question}).encode()))
        until(lambda: any(each.get("id") == number for each in it.server.responses))
        (answer,) = (each["result"] for each in it.server.responses if each.get("id") == number)
        it.chunk(event(it.text(json.dumps(answer))))
        it.end()
        return True

    def call_with(number: int) -> Any:
        def ask(question: Question) -> dict[str, int]:
            both_asked.wait(20)
            return {"number": number}

        result = client.call_tool("fault", {"number": number}, ask=ask)
        return json.loads(result["content"][0]["text"])

    with HttpBad(post=post) as server, client_of(server) as client, ThreadPoolExecutor(2) as pool:
        client.server()
        for number, answer in enumerate(pool.map(call_with, range(2))):
            assert answer == {"action": "accept", "content": {"number": number}}


# HTTP with SSE, of 2024-11-05


class OldServer:
    """Answers requests on the stream that a GET has opened. endpoint: the address that it names."""

    def __init__(self, refuses: int = 405, endpoint: str = "/messages?session=1") -> None:
        self.refuses, self.endpoint, self.logged_in = refuses, endpoint, False
        self.stream: Exchange | None = None

    def get(self, it: Exchange) -> None:
        it.begin(kind="text/event-stream")
        it.chunk(f"event: endpoint\r\ndata: {self.endpoint}\r\n\r\n".encode())
        self.stream = it
        it.hang()

    def post(self, it: Exchange) -> bool:
        if not it.request.path.startswith("/messages"):
            it.answer(b"no", self.refuses, kind="text/plain")
            return True
        message = it.request.message
        assert self.stream is not None
        if message.get("method") == "initialize":
            info = {"name": "old", "version": "1"}
            self.say(it.result({"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}, "serverInfo": info}))
        elif it.request.arguments.get("fault") == "stream ends":
            self.stream.connection.shutdown(socket.SHUT_RDWR)
        elif "id" in message:
            self.say(it.text())
        it.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 8\r\n\r\nAccepted")
        return True

    def say(self, message: bytes) -> None:
        assert self.stream is not None
        self.stream.chunk(event(message, event="message"))


@pytest.mark.parametrize("refuses", [400, 404, 405])
def test_a_server_of_2024_is_spoken_to_over_its_stream(refuses: int) -> None:
    old = OldServer(refuses)
    with HttpBad(get=old.get, post=old.post) as server, client_of(server) as client:
        assert client.server().version == "2024-11-05"
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: client.call_tool("fault", {"fault": "none"}), range(40)))
        assert len(found) == 40
        assert [each.method for each in server.requests].count("GET") == 1


def test_the_end_of_that_stream_ends_the_calls_and_the_next_call_opens_another() -> None:
    old = OldServer()
    with HttpBad(get=old.get, post=old.post) as server, client_of(server) as client:
        with pytest.raises(Gone):
            client.call_tool("fault", {"fault": "stream ends"})
        assert client.call_tool("fault", {"fault": "none"})["content"]


@pytest.mark.parametrize("endpoint", ["http://localhost:9/messages", "//evil.example/messages", "http://[", "ftp://x/"])
def test_that_stream_can_not_name_another_server(endpoint: str) -> None:
    old = OldServer(endpoint=endpoint)
    with HttpBad(get=old.get, post=old.post) as server, client_of(server) as client:
        with pytest.raises(MCPError) as caught:
            client.server()
        assert caught.value.code == 405


def _hangs(it: Exchange) -> None:
    it.begin(kind="text/event-stream")
    it.hang()


ODD_POSTS: dict[str, Callable[[Exchange], None]] = {
    "a page": lambda it: it.answer(b"<h1>Hello</h1>", kind="text/html"),
    "502": lambda it: it.answer(b"", 502, kind="text/html"),
    "nothing": Exchange.hang,
    "a silent stream": _hangs,
    "an error": lambda it: it.answer(it.error(-32000, "No sessionId"), 400),
}


@pytest.mark.parametrize("told", ["by its address", "by the user"])
@pytest.mark.parametrize("odd", ODD_POSTS)
def test_a_server_that_is_known_to_be_of_2024_is_not_asked_in_another_way(odd: str, told: str) -> None:
    """koala73/worldmonitor#1848, can1357/oh-my-pi#3711: what the address of the stream answers to a POST is all one."""
    old = OldServer()

    def post(it: Exchange) -> bool:
        if it.request.path.startswith("/messages"):
            return old.post(it)
        ODD_POSTS[odd](it)
        return True

    with HttpBad(get=old.get, post=post) as server:
        url = server.url.replace("/mcp", "/v1/sse/") if told == "by its address" else server.url
        with MCP(url, timeout=5, sse=told == "by the user") as tools:
            assert tools.connection.client.call_tool("fault", {"fault": "none"})["content"]
        assert not [each for each in server.requests if each.method == "POST" and each.path == "/mcp"]


def test_a_stream_that_names_an_address_is_that_of_an_old_server() -> None:
    """microsoft/vscode#249914: servers that open their stream for a POST too."""
    old = OldServer()

    def post(it: Exchange) -> bool:
        if not it.request.path.startswith("/messages") and it.request.message["method"] == "initialize":
            it.begin(kind="text/event-stream")
            it.chunk(b"event: endpoint\ndata: /messages?session=2\n\n")
            it.hang()
            return True
        return old.post(it)

    with HttpBad(get=old.get, post=post) as server, client_of(server) as client:
        assert client.server().version == "2024-11-05"
        assert client.call_tool("fault", {"fault": "none"})["content"]


def test_a_stream_that_was_refused_before_a_login_is_opened_after_it() -> None:
    old, refused = OldServer(), [0]

    def get(it: Exchange) -> None:
        if not old.logged_in:
            refused[0] += 1
            it.answer(b"", 401, kind="text/plain")
        else:
            old.get(it)

    def post(it: Exchange) -> bool:
        old.logged_in = True  # a person is asked for calls only, not for a stream
        return old.post(it)

    with HttpBad(get=get, post=post) as server, MCP(server.url.replace("/mcp", "/sse"), timeout=5) as tools:
        assert tools.connection.client.call_tool("fault", {"fault": "none"})["content"]
        assert refused == [1]


def test_an_address_that_only_looks_like_an_old_one_is_spoken_to_as_any_other() -> None:
    with HttpBad() as server, MCP(server.url.replace("/mcp", "/sse"), timeout=5) as tools:
        assert tools.connection.client.server().version == VERSION
        assert tools.connection.client.call_tool("fault", {"fault": "none"})["content"]


def test_sse_is_for_addresses() -> None:
    with pytest.raises(ConfigurationError, match="sse="):
        MCP("npx x", sse=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_opens_a_connection_of_its_own() -> None:
    with HttpBad() as server, client_of(server) as client:
        client.call_tool("fault", {"fault": "none"})
        child = os.fork()
        if child == 0:
            code = 1
            try:
                if client.call_tool("fault", {"fault": "none"})["content"]:
                    client.close()
                    code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert client.call_tool("fault", {"fault": "none"})["content"]
        sessions = server.methods().count("initialize"), server.methods().count("DELETE")
    assert sessions == (2, 1)


def test_a_channel_that_is_forgotten_leaves_no_connection() -> None:
    heard: list[Message] = []
    with HttpBad(get=sends(CHANGED), capabilities={"tools": {"listChanged": True}}) as server:
        channel = connected(server, heard.append)
        until(lambda: heard)
        del channel
        until(lambda: gc.collect() >= 0 and server.open_connections() == 0)


def test_a_channel_may_be_forgotten_in_the_middle_of_the_end_of_another_request() -> None:
    """The garbage collector may end its stream in a thread that holds the lock of all requests."""
    with HttpBad(get=sends(CHANGED), capabilities={"tools": {"listChanged": True}}) as server:
        heard: list[Message] = []
        channels = [connected(server, heard.append)]
        until(lambda: heard)
        done = threading.Event()

        def forget() -> None:
            with abort._lock:
                channels.clear()
                gc.collect()
            done.set()

        threading.Thread(target=forget, daemon=True).start()
        assert done.wait(20)
        until(lambda: gc.collect() >= 0 and server.open_connections() == 0)


def test_a_server_is_reached_over_tls_and_one_that_hangs_there_is_left_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HttpBad() as server, serve_tls(tmp_path, server.port) as (port, authorities):
        with pytest.raises(Gone, match="certificate") as caught:
            call(Http(f"https://127.0.0.1:{port}/mcp", lambda message: None), "none", patience=Patience(20))
        assert not caught.value.sent
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authorities))
        channel = Http(f"https://127.0.0.1:{port}/mcp", lambda message: None)
        assert call(channel, "none", patience=Patience(20))["content"]
        for fault in ("hangs before the headers", "half of the body"):
            started = time.monotonic()
            with pytest.raises(Slow):
                call(channel, fault, patience=Patience(0.5))
            assert time.monotonic() - started < 5
        channel.close()


def test_a_port_that_accepts_and_says_nothing_over_tls_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        channel = Http(f"https://127.0.0.1:{listening.getsockname()[1]}/", lambda message: None)
        started = time.monotonic()
        with pytest.raises(Slow) as caught:
            call(channel, "none", patience=Patience(0.5))
        assert time.monotonic() - started < 5
        assert not caught.value.sent
        channel.close()


def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with HttpBad() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        channel = Http("http://mcp.invalid/mcp", lambda message: None)
        assert call(channel, "none", patience=Patience(20))["content"]
        channel.close()
        assert proxy.requests[0].path == "http://mcp.invalid/mcp"
