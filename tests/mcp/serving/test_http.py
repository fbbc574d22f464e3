"""The server over HTTP, on loopback."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from http.client import HTTPException
from typing import Any

import pytest

from agentkit import ConfigurationError, Context, tool
from agentkit.mcp.serving import body, http, requests, sessions
from agentkit.mcp.serving.answering import Server
from agentkit.mcp.serving.http import HTTPServing, address_of
from tests.support import mcp_fixture, mcp_tools
from tests.support.mcp_clients import (
    PATIENCE,
    Answer,
    asked,
    call_of,
    headers_of,
    initialize,
    post,
    request,
    stateless,
    text_of,
)
from tests.support.waiting import until

Address = tuple[str, int]
TOKEN = "a-token-that-nobody-guesses"


@contextlib.contextmanager
def serving(tools: Any = mcp_tools.TOOLS, token: str | None = None, origins: tuple[str, ...] = ()) -> Iterator[Address]:
    with HTTPServing(Server(tools, is_private=token is not None), ("127.0.0.1", 0), token, origins) as made:
        yield "127.0.0.1", made.server_address[1]


@pytest.fixture
def address() -> Iterator[Address]:
    mcp_tools.STARTED.clear()
    mcp_tools.CANCELLED.clear()
    with serving() as found:
        yield found


def modern(
    address: Address, message: dict[str, Any], headers: dict[str, str | None] | None = None, **can: Any
) -> Answer:
    message = stateless(message, **can)
    return post(address, message, {**headers_of(message), **(headers or {})})


def test_a_session_begins_with_initialize_and_ends_with_delete(address: Address) -> None:
    begun = post(address, initialize())
    session = {"Mcp-Session-Id": begun.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}
    assert begun.message["result"]["protocolVersion"] == "2025-11-25"
    noted = post(address, {"jsonrpc": "2.0", "method": "notifications/initialized"}, {**session})
    assert (noted.status, noted.body) == (202, b"")
    assert text_of(post(address, call_of("add", a=1, b=2), {**session}).message) == "3"
    assert asked("DELETE", address, headers=session).status == 204
    gone = post(address, request("tools/list", number=5), {**session})
    assert (gone.status, gone.message["id"], gone.message["error"]["code"]) == (404, 5, -32001)
    assert asked("DELETE", address, headers=session).status == 404


def test_initialize_with_an_ended_session_begins_a_new_one(address: Address) -> None:
    begun = post(address, initialize(), {"Mcp-Session-Id": "0" * 32})
    assert begun.status == 200
    assert begun.headers["mcp-session-id"] != "0" * 32


def test_a_request_without_a_session_is_served(address: Address) -> None:
    assert text_of(post(address, call_of("add", a=1, b=2)).message) == "3"


def test_sessions_are_bounded_and_expire(monkeypatch: pytest.MonkeyPatch, address: Address) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 3)
    numbers = [post(address, initialize()).headers["mcp-session-id"] for _ in range(4)]
    known = [post(address, request("ping"), {"Mcp-Session-Id": each}).status for each in numbers]
    assert known == [404, 200, 200, 200]
    monkeypatch.setattr(sessions, "IDLE_SECONDS", -1.0)
    assert post(address, request("ping"), {"Mcp-Session-Id": numbers[3]}).status == 404


def test_a_session_with_a_call_that_is_running_stays(monkeypatch: pytest.MonkeyPatch, address: Address) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 1)
    number = session_of(address)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(post, address, call_of("wait", 3), {"Mcp-Session-Id": number})
        assert mcp_tools.STARTED.wait(PATIENCE)
        refused = post(address, initialize()).message["error"]
        assert (refused["code"], "busy" in refused["message"]) == (-32000, True)
        assert not mcp_tools.CANCELLED.is_set()
        cancel_all(address)
        call.result()
    assert post(address, initialize()).status == 200
    assert post(address, request("ping"), {"Mcp-Session-Id": number}).status == 404


def test_both_eras_are_served_at_one_address(address: Address) -> None:
    assert modern(address, request("tools/list")).message["result"]["resultType"] == "complete"
    assert post(address, initialize()).status == 200
    assert text_of(modern(address, call_of("add", a=1, b=2)).message) == "3"
    assert "mcp-session-id" not in modern(address, request("server/discover")).headers


@pytest.mark.parametrize(
    ("status", "code", "change"),
    [
        (400, -32020, {"Mcp-Method": "prompts/list"}),
        (400, -32020, {"Mcp-Method": None}),
        (400, -32020, {"Mcp-Method": "TOOLS/CALL"}),
        (400, -32020, {"Mcp-Name": "other"}),
        (400, -32020, {"Mcp-Name": None}),
        (400, -32020, {"Mcp-Name": "=?base64?!?="}),
        (400, -32020, {"Mcp-Name": "=?base64?\xfc?="}),
        (400, -32020, {"MCP-Protocol-Version": "2025-11-25"}),
        (400, -32020, {"MCP-Protocol-Version": None}),
        (200, None, {"Mcp-Name": "  add  "}),
        (200, None, {"Mcp-Name": "=?base64?YWRk?="}),
    ],
)
def test_the_headers_have_to_say_what_the_body_says(
    address: Address, status: int, code: int | None, change: dict[str, str | None]
) -> None:
    answer = modern(address, call_of("add", 7, a=1, b=2), change)
    assert (answer.status, answer.message.get("error", {}).get("code"), answer.message["id"]) == (status, code, 7)


def test_a_parameter_that_a_header_repeats_is_compared() -> None:
    with serving(mcp_fixture.TOOLS) as address:
        for region, header, status in [
            ("eu", "eu", 200),
            ("eu", None, 400),
            ("eu", "us", 400),
            ("Zürich", "=?base64?WsO8cmljaA==?=", 200),
            ("Zürich", "=?base64?WsO8cmljaA?=", 400),
        ]:
            answer = modern(address, call_of("test_with_header", region=region), {"Mcp-Param-Region": header})
            assert answer.status == status, (region, header)


def test_errors_of_the_stateless_era_have_their_status(address: Address) -> None:
    assert modern(address, request("no/such")).status == 404
    assert modern(address, call_of("no_such")).status == 400
    message = request("tools/list", {"_meta": {}})
    assert post(address, message, headers_of(message)).message["error"]["code"] == -32602
    unknown = post(address, request("tools/list"), {"MCP-Protocol-Version": "2031-01-01"})
    assert (unknown.status, unknown.message["error"]["code"]) == (400, -32022)
    refused = modern(address, call_of("pay_much", amount=99))
    assert (refused.status, refused.message["error"]["code"]) == (400, -32021)


def test_errors_of_the_handshake_era_are_answers(address: Address) -> None:
    answer = post(address, request("no/such"))
    assert (answer.status, answer.message["error"]["code"]) == (200, -32601)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (403, {"Host": "evil.example.com"}),
        (403, {"Host": "127.0.0.1.evil.example.com"}),
        (403, {"Host": ""}),
        (403, {"Host": "[::1"}),
        (403, {"Origin": "http://evil.example.com"}),
        (403, {"Origin": "null"}),
        (403, {"Origin": "file://localhost"}),
        (200, {"Origin": "http://localhost:6274"}),
        (200, {"Host": "LOCALHOST:1"}),
        (200, {"Host": "[::1]:80"}),
        (415, {"Content-Type": "text/plain"}),
        (415, {"Content-Type": None}),
        (200, {"Content-Type": "application/json; charset=utf-8"}),
        (406, {"Accept": "text/html"}),
        (200, {"Accept": None}),
        (200, {"Accept": "*/*"}),
    ],
)
def test_who_may_not_ask_is_not_answered(address: Address, status: int, headers: dict[str, str | None]) -> None:
    assert post(address, request("ping"), headers).status == status


def test_a_header_that_is_there_twice_is_refused(address: Address) -> None:
    for name in (b"Host: 127.0.0.1", b"Mcp-Method: ping", b"Origin: http://localhost"):
        answer = raw(address, b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n" + name + b"\r\n" + name + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400")


def raw(address: Address, content: bytes) -> bytes:
    """What the server sends to one that sends this, until it closes."""
    with socket.create_connection(address, PATIENCE) as connection:
        connection.sendall(content)
        received = b""
        while part := connection.recv(1 << 16):
            received += part
        return received


def test_another_host_needs_a_token() -> None:
    with pytest.raises(ConfigurationError, match="token"):
        HTTPServing(Server(mcp_tools.TOOLS), ("0.0.0.0", 0))
    for empty in ("", " \n"):
        with pytest.raises(ConfigurationError, match="empty"):
            HTTPServing(Server(mcp_tools.TOOLS), ("127.0.0.1", 0), empty)


def test_a_token_lets_in_and_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with serving(token=TOKEN) as address:
        for given in (None, "Bearer wrong", f"Basic {TOKEN}", "Bearer ", TOKEN, "Bearer ü"):
            answer = post(address, request("ping"), {"Authorization": given})
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert post(address, request("ping"), {"Authorization": f"Bearer {TOKEN}"}).status == 200
        assert (
            post(address, request("ping"), {"Authorization": f"bearer {TOKEN}", "Host": "mcp.example.com"}).status
            == 200
        )
        evil = {"Authorization": f"Bearer {TOKEN}", "Host": "mcp.example.com", "Origin": "https://evil.example.com"}
        assert post(address, request("ping"), evil).status == 403
        listed = modern(address, request("tools/list"), {"Authorization": f"Bearer {TOKEN}"})
        assert listed.message["result"]["cacheScope"] == "private"
    assert TOKEN not in caplog.text


PAGE = "http://localhost:6274"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type, mcp-protocol-version, mcp-session-id",
}


@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_page_of_an_origin_that_is_named_may_use_the_server(token: str | None) -> None:
    """hauptsacheNet/typo3-mcp-server#115, 0xeb/fastmcpp#42, netdata/netdata#22258: the Inspector in direct mode."""
    known = {} if token is None else {"Authorization": f"Bearer {token}"}
    with serving(token=token, origins=("http://LOCALHOST:6274/", "https://tools.example")) as address:
        before = asked("OPTIONS", address, headers={"Origin": PAGE, **PREFLIGHT})
        assert (before.status, before.headers["access-control-allow-origin"]) == (204, PAGE)
        assert before.headers["access-control-allow-headers"] == PREFLIGHT["Access-Control-Request-Headers"]
        assert {"POST", "DELETE"} <= set(before.headers["access-control-allow-methods"].split(", "))
        begun = post(address, initialize(), {"Origin": PAGE, **known})
        assert begun.headers["access-control-allow-origin"] == PAGE
        assert "Mcp-Session-Id" in begun.headers["access-control-expose-headers"].split(", ")
        assert begun.headers["vary"] == "Origin"
        events = post(address, call_of("add", a=1, b=2), {"Origin": PAGE, "Accept": "text/event-stream", **known})
        assert events.headers["access-control-allow-origin"] == PAGE
        for refused in (asked("GET", address, headers={"Origin": PAGE, **known}), post(address, 5, {"Origin": PAGE})):
            assert refused.status >= 400
            assert refused.headers["access-control-allow-origin"] == PAGE
        assert post(address, initialize(), {"Origin": "https://tools.example", **known}).status == 200
        assert "access-control-allow-origin" not in post(address, initialize(), known).headers


@pytest.mark.parametrize("origin", ["http://localhost:6275", "https://localhost:6274", "https://evil.example", "null"])
def test_a_page_of_another_origin_is_not_told_that_it_may(origin: str) -> None:
    with serving(origins=(PAGE,)) as address:
        before = asked("OPTIONS", address, headers={"Origin": origin, **PREFLIGHT})
        assert before.status in (403, 405)
        assert not [name for name in before.headers if name.startswith("access-control")]
    with serving() as address:
        before = asked("OPTIONS", address, headers={"Origin": PAGE, **PREFLIGHT})
        assert (before.status, "access-control-allow-origin" in before.headers) == (405, False)


@pytest.mark.parametrize("origin", ["*", "localhost", "http://localhost:1/page", "ftp://x", "http://a\r\nb", ""])
def test_what_is_no_origin_is_an_error(origin: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the origin of a web page"):
        HTTPServing(Server(mcp_tools.TOOLS), ("127.0.0.1", 0), None, (origin,))


def test_other_methods_and_paths_are_named(address: Address) -> None:
    for method in ("GET", "PUT", "OPTIONS"):
        answer = asked(method, address)
        assert (answer.status, answer.headers["allow"]) == (405, "POST, DELETE")
    assert asked("GET", address, headers={"Host": "evil.example.com"}).status == 403
    assert post(address, request("ping"), path="/other").status == 404
    assert asked("GET", address, path="/.well-known/oauth-protected-resource").status == 404
    assert post(address, request("ping"), path="/").status == 200


def test_progress_and_the_result_are_events(address: Address) -> None:
    message = call_of("steps", count=2)
    message["params"]["_meta"] = {"progressToken": "t"}
    for answer in (post(address, message), modern(address, message)):
        assert answer.headers["content-type"] == "text/event-stream"
        assert [each.get("method", "result") for each in answer.messages] == ["notifications/progress"] * 2 + ["result"]
    alone = post(address, message, {"Accept": "application/json"})
    assert (alone.headers["content-type"], text_of(alone.message)) == ("application/json", "done")
    events = post(address, call_of("add", a=1, b=2), {"Accept": "text/event-stream"})
    assert (events.headers["content-type"], text_of(events.message)) == ("text/event-stream", "3")


def test_a_silent_call_keeps_its_connection_open(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "PING_SECONDS", 0.05)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, address, call_of("wait", 3), {"Mcp-Session-Id": session_of(address)})
        assert mcp_tools.STARTED.wait(PATIENCE)
        threading.Event().wait(0.3)
        cancel_all(address)
        assert b": still running\n\n" in answer.result().body


def session_of(address: Address) -> str:
    """The id of a new session, kept for `cancel_all`."""
    SESSIONS.append(post(address, initialize()).headers["mcp-session-id"])
    return SESSIONS[-1]


SESSIONS: list[str] = []


def cancel_all(address: Address) -> None:
    noted = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}}
    assert post(address, noted, {"Mcp-Session-Id": SESSIONS[-1]}).status == 202


def test_a_cancelled_call_ends_without_an_answer(address: Address) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, address, call_of("wait", 3), {"Mcp-Session-Id": session_of(address)})
        assert mcp_tools.STARTED.wait(PATIENCE)
        other = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}}
        post(address, other, {"Mcp-Session-Id": post(address, initialize()).headers["mcp-session-id"]})
        post(address, other)
        assert not mcp_tools.CANCELLED.is_set()  # another client's call has the same number
        cancel_all(address)
        assert answer.result().messages == []
    assert mcp_tools.CANCELLED.wait(PATIENCE)


@pytest.mark.parametrize("era", ["handshake", "stateless"])
def test_a_closed_connection_cancels_its_call(address: Address, era: str) -> None:
    message = call_of("wait") if era == "handshake" else stateless(call_of("wait"))
    content = json.dumps(message).encode()
    headers = {} if era == "handshake" else headers_of(message)
    with socket.create_connection(address, PATIENCE) as connection:
        connection.sendall(posted(content, headers))
        assert mcp_tools.STARTED.wait(PATIENCE)
    assert mcp_tools.CANCELLED.wait(PATIENCE)


def posted(content: bytes, headers: dict[str, str]) -> bytes:
    """A request, as bytes."""
    lines = [f"{name}: {value}" for name, value in {"Content-Type": "application/json", **headers}.items()]
    head = ["POST /mcp HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(content)}", *lines, "", ""]
    return "\r\n".join(head).encode() + content


def test_a_closed_connection_is_noticed_behind_reports_and_what_was_sent_ahead() -> None:
    started, cancelled = threading.Event(), threading.Event()

    @tool(read_only=True)
    def reports(ctx: Context) -> str:
        """Reports without a pause."""
        started.set()
        assert ctx.cancel is not None
        while not ctx.cancel.wait(0.002):
            ctx.progress("still running")
        cancelled.set()
        return ""

    message = request("tools/call", {"name": "reports", "_meta": {"progressToken": 1}})
    with serving([reports]) as address:
        with socket.create_connection(address, PATIENCE) as connection:
            connection.sendall(posted(json.dumps(message).encode(), {"Accept": "application/json"}))
            assert started.wait(PATIENCE)
            connection.sendall(b"P")
        assert cancelled.wait(PATIENCE)


def test_an_answer_that_is_no_json_is_an_error_of_the_server() -> None:
    @tool
    def choose(ctx: Context) -> str:
        """Asks with a schema that is no JSON."""
        return str(ctx.ask("When?", {"type": "object", "properties": {"when": {"default": date(2026, 1, 1)}}}))

    with serving([choose]) as address:
        answer = modern(address, call_of("choose", 7), elicitation={})
        assert (answer.status, answer.message["id"], answer.message["error"]["code"]) == (500, 7, -32603)


def test_sixteen_calls_run_side_by_side() -> None:
    meeting = threading.Barrier(16)

    @tool(read_only=True)
    def meet(guest: int) -> str:
        """Waits for the other calls."""
        meeting.wait(PATIENCE)
        return str(guest)

    with serving([meet]) as address, ThreadPoolExecutor(16) as pool:
        answers = pool.map(lambda guest: text_of(post(address, call_of("meet", guest=guest)).message), range(16))
        assert list(answers) == [str(each) for each in range(16)]


def test_arguments_of_a_megabyte_arrive_whole_and_in_chunks(address: Address) -> None:
    message = call_of("size_of", text="ü" * 1_000_000)
    assert text_of(post(address, message).message) == "1000000"
    content = json.dumps(message).encode()
    parts = [content[each : each + 60_000] for each in range(0, len(content), 60_000)]
    chunks = b"".join(b"%x;x=y\r\n%b\r\n" % (len(each), each) for each in parts) + b"0\r\nTrailer: x\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    answer = raw(address, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    assert b'"1000000"' in answer


@pytest.mark.parametrize(
    ("status", "head", "content"),
    [
        (413, b"Content-Length: 999999999999", b""),
        (400, b"Content-Length: -1", b""),
        (400, b"Content-Length: 0x10", b""),
        (411, b"X: y", b""),
        (400, b"Content-Length: 4\r\nTransfer-Encoding: chunked", b""),
        (400, b"Transfer-Encoding: gzip", b""),
        (400, b"Transfer-Encoding: chunked", b"zz\r\n"),
        (400, b"Transfer-Encoding: chunked", b"\r\n"),
        (413, b"Transfer-Encoding: chunked", b"fffffff\r\n"),
        (400, b"Content-Length: 7", b"garbage"),
        (400, b"Content-Length: 0", b""),
    ],
)
def test_a_body_that_is_none_is_refused(address: Address, status: int, head: bytes, content: bytes) -> None:
    begin = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    assert raw(address, begin + head + b"\r\n\r\n" + content).startswith(b"HTTP/1.1 %d " % status)


def test_what_is_no_http_is_refused(address: Address) -> None:
    assert b" 400 " in raw(address, b"\x16\x03\x01 x y\r\n\r\n").partition(b"\r\n")[0]
    assert b" 501 " in raw(address, b"BREW / HTTP/1.1\r\n\r\n").partition(b"\r\n")[0]
    assert b" 431 " in raw(address, b"POST / HTTP/1.1\r\n" + b"x: y\r\n" * 200 + b"\r\n").partition(b"\r\n")[0]


def test_a_slow_client_is_not_waited_for(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.2)
    assert raw(address, b"POST /mcp HTTP/1.1\r\nHost: localh") == b""
    head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    assert raw(address, head) == b""


def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_CONNECTIONS", 2)
    with serving() as address:
        kept = [socket.create_connection(address, PATIENCE) for _ in range(2)]
        until(lambda: raw(address, b"").startswith(b"HTTP/1.1 503"), PATIENCE)
        for each in kept:
            each.close()
        until(lambda: is_served(address), PATIENCE)


def test_a_connection_for_which_no_thread_can_be_started_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(http, "MAX_CONNECTIONS", 2)
    with serving() as address:
        with monkeypatch.context() as without_threads:
            without_threads.setattr(threading.Thread, "start", refused)
            for _ in range(3):
                assert raw(address, b"").startswith(b"HTTP/1.1 503")
        assert is_served(address)


def is_served(address: Address) -> bool:
    try:
        return post(address, request("ping")).status == 200
    except (OSError, HTTPException):
        return False


def test_a_connection_is_used_again(address: Address) -> None:
    content = json.dumps(request("ping")).encode()
    one = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(
        content
    )
    answers = raw(address, (one + b"\r\n" + content) * 2 + one + b"Connection: close\r\n\r\n" + content)
    assert answers.count(b"HTTP/1.1 200 OK") == 3


def test_the_body_is_bounded_at_what_is_said(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "MAX_BODY", 1000)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        assert post(address, call_of("size_of", text="x" * 2000)).status == 413


@pytest.mark.parametrize("text", ["", "8931", "localhost", ":8931", "localhost:x", "localhost:99999", "localhost:-1"])
def test_an_address_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:8931"):
        address_of(text)


def test_an_address_may_be_of_ipv6() -> None:
    assert address_of("[::1]:8931") == ("::1", 8931)
    assert address_of("http://localhost:8931/mcp") == ("localhost", 8931)
