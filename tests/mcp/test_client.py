"""The client of an MCP server: which version is spoken, what is sent again, lists, questions, restarts."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agentkit.errors import ConfigurationError, ToolError
from agentkit.mcp import client as client_module
from agentkit.mcp import handshake
from agentkit.mcp.channel import Heard, Message, Patience
from agentkit.mcp.client import Client
from agentkit.mcp.errors import Gone, MCPError, Slow
from agentkit.mcp.inbox import Inbox
from agentkit.mcp.questions import Answer, Ask, Question
from agentkit.net.trace_headers import TRACE_HEADERS
from tests.mcp.servers import bad, process_of_one_use, text_of
from tests.support.waiting import until

OLD = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]


class Played:
    """A channel to a server that is a function: from a request to a result, or an error that is raised."""

    def __init__(self, server: Callable[[Mapping[str, Any]], Any]) -> None:
        self.version = self.session = ""
        self.is_lost = False
        self.sent: list[Message] = []
        self._server = server

    def exchange(self, message: Message, patience: Patience, headers: Mapping[str, str] | None = None) -> Message:
        self.sent.append(message)
        try:
            result = self._server(message)
        except MCPError as error:
            return {"id": message["id"], "error": {"code": error.code, "message": str(error), "data": error.data}}
        return {"id": message["id"], "result": result}

    def send(self, message: Message, patience: Patience) -> None:
        self.sent.append(message)

    def close(self) -> None:
        self.is_lost = True


def played(server: Callable[[Mapping[str, Any]], Any]) -> tuple[Client, Played]:
    channel = Played(server)
    return Client(lambda heard: channel, "played", 5.0), channel


# versions


def test_a_modern_server_is_told_with_each_request_what_it_needs_to_know() -> None:
    with bad() as client:
        assert client.server() == client_module.Server(
            "2026-07-28", {"tools": {"listChanged": True}}, "Be careful.", "bad-server"
        )
        meta = json.loads(text_of(client.call_tool("meta", {})))
    assert meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert meta["io.modelcontextprotocol/clientInfo"]["name"] == "agentkit"
    assert meta["io.modelcontextprotocol/clientCapabilities"] == {}
    assert "progressToken" in meta


@pytest.mark.parametrize("version", OLD)
def test_an_older_server_is_greeted_in_its_version(version: str) -> None:
    with bad(era=version) as client:
        assert client.server().version == version
        assert client.server().instructions == "Be careful."
        assert set(json.loads(text_of(client.call_tool("meta", {})))) == {"progressToken"}


@pytest.mark.parametrize("version", ["1999-01-01", "2026-07-28", "2030-01-01"])
def test_a_server_that_answers_with_an_unknown_version_is_refused(version: str) -> None:
    with bad(era=version) as client, pytest.raises(MCPError, match=version):
        client.server()


def test_a_server_that_ends_at_an_unknown_first_request_is_started_again_without_it(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with bad(start="die_at_discover", era="2025-06-18", note=str(note)) as client:
        for starts in (2, 3, 4):  # it is known from then on
            assert client.server().version == "2025-06-18"
            assert note.read_text().split().count("start") == starts
            if starts < 4:
                with pytest.raises(Gone):
                    client.call_tool("die", {})


def test_a_server_that_is_silent_at_an_unknown_request_is_initialized(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "DISCOVER_SECONDS", 0.3)
    with bad(start="silent_at_discover", era="2025-11-25") as client:
        assert client.server().version == "2025-11-25"


def test_a_start_goes_on_while_the_server_says_on_standard_error_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """artokun/comfyui-mcp#1447, btsouth/toolport#230: a download that is ended by the clock begins anew each time."""
    monkeypatch.setattr(client_module, "MIN_START_SECONDS", 1.5)
    with bad(start="downloads", era="2025-11-25", timeout=1.5) as client:
        with pytest.raises(Slow, match="longer timeout"):
            client.server(Patience(0.5))
        assert client.server(Patience(20.0)).version == "2025-11-25"


def test_a_server_that_is_stuck_after_an_unknown_request_is_not_asked_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "DISCOVER_SECONDS", 0.3)
    monkeypatch.setattr(client_module, "MIN_START_SECONDS", 1.0)
    with bad(start="stuck_at_discover", era="2025-11-25", timeout=1.0) as client:
        with pytest.raises(Slow):
            client.server(Patience(20.0))
        assert client.server(Patience(20.0)).version == "2025-11-25"


def test_a_modern_server_that_starts_too_slowly_for_the_first_question_is_asked_again() -> None:
    asked: list[str] = []

    def server(message: Mapping[str, Any]) -> Any:
        asked.append(message["method"])
        if message["method"] == "initialize":
            raise MCPError("Unsupported protocol version", -32022, {"supported": ["2026-07-28"]})
        if asked.count("server/discover") == 1:
            raise Slow("it still loads")
        return {"supportedVersions": ["2026-07-28"], "capabilities": {}}

    client, channel = played(server)
    assert client.server().version == "2026-07-28"
    assert channel.version == "2026-07-28"


def test_a_server_that_names_an_older_version_in_its_refusal_is_greeted_in_that() -> None:
    def server(message: Mapping[str, Any]) -> Any:
        if message["method"] == "initialize" and message["params"]["protocolVersion"] == "2025-06-18":
            return {"protocolVersion": "2025-06-18", "capabilities": {}}
        raise MCPError("Unsupported protocol version", -32602, {"supported": ["2025-06-18", "2024-11-05"]})

    client, channel = played(server)
    assert client.server().version == "2025-06-18"
    assert channel.sent[-1]["method"] == "notifications/initialized"


def test_a_server_without_a_common_version_says_so() -> None:
    def server(message: Mapping[str, Any]) -> Any:
        raise MCPError("Unsupported protocol version", -32022, {"supported": ["2031-01-01"]})

    client, channel = played(server)
    with pytest.raises(MCPError, match="Unsupported protocol version"):
        client.server()
    assert [each["method"] for each in channel.sent] == ["server/discover"]


@pytest.mark.parametrize("versions", [None, [], ["2025-11-25"], "2026-07-28", [3]])
def test_an_answer_that_names_no_modern_version_is_that_of_an_older_server(versions: Any) -> None:
    def server(message: Mapping[str, Any]) -> Any:
        if message["method"] == "server/discover":
            return {"supportedVersions": versions}
        return {"protocolVersion": "2025-11-25", "capabilities": None, "serverInfo": "x", "instructions": 3}

    client, _ = played(server)
    assert client.server() == client_module.Server("2025-11-25")


def test_a_trace_goes_on_in_the_server() -> None:
    headers = {"traceparent": "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01", "x-other": "1"}
    token = TRACE_HEADERS.set(lambda: headers)
    try:
        for era in ("modern", "2025-11-25"):
            with bad(era=era) as client:
                meta = json.loads(text_of(client.call_tool("meta", {})))
            assert meta["traceparent"] == headers["traceparent"]
            assert "x-other" not in meta
    finally:
        TRACE_HEADERS.reset(token)


# lists


def test_all_pages_of_a_list_are_read_and_the_shortest_time_to_live_holds() -> None:
    with bad() as client:
        listed = client.list_all("tools/list", "tools")
        assert [each["name"] for each in listed.items] == ["t0", "t1", "t2"]
        assert listed.ttl == 4.0
        assert client.list_all("prompts/list", "prompts").items == []  # it has no such method


def test_a_list_whose_cursor_repeats_ends(caplog: pytest.LogCaptureFixture) -> None:
    with bad(list="repeats") as client:
        assert client.list_all("tools/list", "tools").items == [{"name": "a"}] * 2
    assert "repeats a page" in caplog.text


def test_a_list_without_end_ends(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(client_module, "MAX_PAGES", 20)
    with bad(list="endless") as client:
        assert len(client.list_all("tools/list", "tools").items) == 20
    assert "more than is read" in caplog.text


@pytest.mark.parametrize("page", [{"tools": [{"name": "x" * 900}]}, {"tools": [], "nextCursor": "x" * 900}])
def test_a_list_whose_pages_are_too_large_ends(
    page: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(client_module, "MAX_PAGES_SIZE", 2_500)
    monkeypatch.setattr(client_module, "MAX_CURSOR", 800)
    cursors = iter(range(100))
    more = {"nextCursor": ""} if "nextCursor" in page else {}
    client, channel = played(
        lambda message: {"nextCursor": next(cursors) + 1, **more, **page} if "list" in message["method"] else MODERN
    )
    assert len(client.list_all("tools/list", "tools").items) == (0 if more else 2)
    assert "more than is read" in caplog.text
    assert sum("list" in each["method"] for each in channel.sent) == (1 if more else 3)


def test_a_list_without_tools_is_empty_and_what_is_no_object_is_left_out() -> None:
    with bad(list="none") as client:
        assert client.list_all("tools/list", "tools").items == []
    pages: list[dict[str, Any]] = [
        {"tools": [{"name": "a"}, "b", None], "nextCursor": 7, "ttlMs": -1},
        {"tools": {"name": "c"}, "nextCursor": "", "ttlMs": True},
    ]
    client, _ = played(lambda message: pages.pop(0) if message["method"] == "tools/list" else MODERN)
    assert client.list_all("tools/list", "tools") == client_module.Listed([{"name": "a"}], None)


MODERN = {"supportedVersions": ["2026-07-28"], "capabilities": {}}


# what is sent again


def test_a_read_only_call_is_sent_once_more_to_a_fresh_server(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with bad(note=str(note)) as client:
        assert text_of(client.call_tool("die_once", {}, read_only=True)) == "alive"
    assert note.read_text().split() == ["start", "die_once", "start", "die_once"]


def test_a_call_with_effects_is_sent_once_and_its_doubt_is_told(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with bad(note=str(note)) as client:
        with pytest.raises(Gone, match="it is not known whether the call had an effect"):
            client.call_tool("die_once", {})
        assert text_of(client.call_tool("echo", {})) == "{}"
    assert note.read_text().split() == ["start", "die_once", "start", "echo"]


def test_a_read_only_call_that_kills_each_server_ends_after_two(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with bad(note=str(note)) as client, pytest.raises(Gone, match="exit status 3") as caught:
        client.call_tool("die", {}, read_only=True)
    assert "not known" not in str(caught.value)
    assert note.read_text().split() == ["start", "die", "start", "die"]


def test_a_server_that_ends_again_and_again_is_started_three_times_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    with bad() as client:
        for _ in range(3):
            with pytest.raises(Gone, match="exit status 3"):
                client.call_tool("die", {})
        for _ in range(2):
            with pytest.raises(Gone, match=r"started 3 times within 60 seconds.*exit status 3") as caught:
                client.call_tool("echo", {})
            assert not caught.value.sent
        monkeypatch.setattr(client_module, "STARTS_WITHIN", 0.0)
        assert text_of(client.call_tool("echo", {})) == "{}"


def test_a_user_who_closes_it_may_start_a_server_as_often_as_they_want() -> None:
    with bad() as client:
        assert len({process_of_one_use(client) for _ in range(5)}) == 5


@pytest.mark.parametrize("kind", ["gone", "everything", "spec"])
def test_a_lost_session_is_opened_anew_once_and_the_call_sent_again(kind: str) -> None:
    channels: list[Played] = []

    def connect(heard: Heard) -> Played:
        def server(message: Mapping[str, Any]) -> Any:
            if message["method"] != "tools/call":
                return {"protocolVersion": "2025-11-25", "capabilities": {}}
            if channel is not channels[0]:
                return {"content": []}
            if kind == "gone":
                channel.is_lost = True
                raise Gone("the session has ended", sent=False)
            raise MCPError("No valid session ID provided", -32000 if kind == "everything" else 404)

        channel = Played(server)
        channel.session = "s1"
        channels.append(channel)
        return channel

    client = Client(connect, "everything", 5.0)
    assert client.call_tool("pay", {}, read_only=kind != "gone") == {"content": []}
    assert len(channels) == 2


@pytest.mark.parametrize("words", ["No valid session ID provided", "charged, but the checkout session was not closed"])
def test_a_call_with_effects_that_is_answered_with_an_error_is_not_sent_again(words: str) -> None:
    calls: list[str] = []

    def connect(heard: Heard) -> Played:
        def server(message: Mapping[str, Any]) -> Any:
            if message["method"] != "tools/call":
                return {"protocolVersion": "2025-11-25", "capabilities": {}}
            calls.append(channel.session)
            if len(calls) == 1:
                raise MCPError(words, -32000)
            return {"content": []}

        channel = Played(server)
        channel.session = f"s{len(channels)}"
        channels.append(channel)
        return channel

    channels: list[Played] = []
    client = Client(connect, "shop", 5.0)
    with pytest.raises(MCPError, match=words):
        client.call_tool("pay", {})
    assert calls == ["s0"]
    client.call_tool("pay", {})
    assert calls[1] == ("s1" if words.startswith("No") else "s0")


def test_a_server_that_speaks_another_version_after_a_while_is_asked_anew() -> None:
    versions = ["2025-11-25", "2026-07-28"]
    sent: list[str] = []

    def connect(heard: Heard) -> Played:
        def server(message: Mapping[str, Any]) -> Any:
            sent.append(message["method"])
            if message["method"] == "server/discover" and versions[0] == "2026-07-28":
                return MODERN
            if message["method"] == "initialize" and versions[0] != "2026-07-28":
                return {"protocolVersion": versions[0], "capabilities": {}}
            if message["method"] == "tools/call" and channel.version == versions[0]:
                return {"content": []}
            raise MCPError("Unsupported protocol version", -32022, {"supported": versions[:1]})

        channel = Played(server)
        return channel

    client = Client(connect, "renewed", 5.0)
    client.call_tool("pay", {})
    versions.pop(0)
    sent.clear()
    assert client.call_tool("pay", {}) == {"content": []}
    assert sent == ["tools/call", "server/discover", "tools/call"]
    versions[:] = ["2031-01-01"]
    with pytest.raises(MCPError, match="Unsupported protocol version"):
        client.call_tool("pay", {})


def test_an_error_that_speaks_of_a_session_is_no_lost_one_where_there_is_none() -> None:
    def server(message: Mapping[str, Any]) -> Any:
        if message["method"] == "tools/call":
            raise MCPError("Session not found", -32000)
        return MODERN

    client, channel = played(server)
    with pytest.raises(MCPError, match="Session not found"):
        client.call_tool("click", {}, read_only=True)
    assert len([each for each in channel.sent if each["method"] == "tools/call"]) == 1


# questions

NAME = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "default": 7}}}
FORM = {"message": "Who?", "requestedSchema": NAME}
PAGE = {"mode": "url", "message": "Please sign in", "url": "https://example.com/in", "elicitationId": "1"}


def answers(ask: Ask | None, params: Mapping[str, Any], era: str) -> Any:
    """What a server hears when it asks this."""
    with bad(era=era, ask=ask) as client:
        answer = json.loads(text_of(client.call_tool(*asking(params, era))))
    return answer["q" if era == "modern" else "result"]


@pytest.mark.parametrize("era", ["modern", "2025-11-25"])
def test_a_question_of_a_server_is_answered(era: str) -> None:
    asked: list[Question] = []

    def ask(question: Question) -> Answer:
        asked.append(question)
        return {"name": "Ada"}

    assert answers(ask, FORM, era) == {"action": "accept", "content": {"name": "Ada", "age": 7}}
    assert asked == [Question("bad", "Who?", NAME)]


@pytest.mark.parametrize("era", ["modern", "2025-11-25"])
@pytest.mark.parametrize(
    ("answer", "action"),
    [(None, "decline"), (False, "decline"), ("yes", "cancel"), ({"name": {1, 2}}, "cancel"), ("raise", "cancel")],
)
def test_what_is_no_answer_is_not_taken_for_one(answer: Any, action: str, era: str) -> None:
    def ask(question: Question) -> Answer:
        if answer == "raise":
            raise ValueError(question.message)
        found: Answer = answer
        return found

    assert answers(ask, FORM, era) == {"action": action}


@pytest.mark.parametrize("era", ["modern", "2025-11-25"])
def test_without_a_function_questions_are_declined(era: str) -> None:
    assert answers(None, FORM, era) == {"action": "decline"}


def test_a_page_is_opened_only_with_consent_and_only_of_the_web() -> None:
    assert answers(lambda question: question.url == PAGE["url"], PAGE, "modern") == {"action": "accept"}
    assert answers(lambda question: True, {**PAGE, "url": "file:///etc/passwd"}, "modern") == {"action": "decline"}


def test_servers_are_told_whether_they_may_ask() -> None:
    for ask, capabilities in ((None, {}), (lambda question: None, {"elicitation": {"form": {}, "url": {}}})):
        with bad(ask=ask) as client:
            meta = json.loads(text_of(client.call_tool("meta", {})))
        assert meta["io.modelcontextprotocol/clientCapabilities"] == capabilities


@pytest.mark.parametrize("era", ["modern", "2025-11-25"])
def test_a_call_waits_for_the_answer_of_a_person(era: str) -> None:
    def ask(question: Question) -> Answer:
        time.sleep(1.2)
        return True

    with bad(era=era, ask=ask) as client:
        client.server()
        assert "accept" in text_of(client.call_tool(*asking(FORM, era), patience=Patience(0.8)))


class Paused(BaseException):
    pass


@pytest.mark.parametrize("era", ["modern", "2025-11-25"])
@pytest.mark.parametrize("error", [ToolError("nobody is there"), Paused("nobody is there")])
def test_an_error_for_the_model_and_a_pause_end_the_call(error: BaseException, era: str) -> None:
    def ask(question: Question) -> Answer:
        raise error

    with bad(era=era, ask=lambda question: True) as client:
        with pytest.raises(type(error), match="nobody is there"):
            client.call_tool(*asking(FORM, era), ask=ask)
        assert "accept" in text_of(client.call_tool(*asking(FORM, era)))


def asking(params: Mapping[str, Any], era: str) -> tuple[str, dict[str, Any]]:
    """A tool that asks this, and its arguments."""
    request = {"method": "elicitation/create", "params": params}
    return ("needs_input", {"requests": {"q": request}}) if era == "modern" else ("asks_for", request)


def test_a_question_of_which_call_is_not_known_is_that_of_the_client() -> None:
    def refuse(question: Question) -> Answer:
        raise ToolError("the wrong one")

    with bad(era="2025-11-25", ask=lambda question: True) as client, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.call_tool, "slow", {"seconds": 1.0})
        until(lambda: len(client._in_flight._flights) == 1)
        assert "accept" in text_of(client.call_tool(*asking(FORM, "2025-11-25"), ask=refuse))
        assert text_of(waiting.result()) == "done"


def test_a_question_is_that_of_the_only_call_because_of_which_it_may_be_asked() -> None:
    cancel = threading.Event()
    with bad(era="2025-11-25", ask=lambda question: None) as client, ThreadPoolExecutor(1) as pool:
        listening = pool.submit(client.request, "subscriptions/listen", patience=Patience(20.0, cancel=cancel))
        until(lambda: len(client._in_flight._flights) == 1)
        assert "accept" in text_of(client.call_tool(*asking(FORM, "2025-11-25"), ask=lambda question: True))
        cancel.set()
        with pytest.raises(Slow):
            listening.result(20)


def test_a_question_that_a_server_withdraws_is_not_answered() -> None:
    goes_on = threading.Event()
    with bad(era="2025-11-25", ask=lambda question: goes_on.wait(20)) as client:
        client.call_tool("withdraws", {})
        goes_on.set()
        until(lambda: not client._inbox._questions)
        assert text_of(client.call_tool("answered", {})) == "[]"


def test_a_question_that_is_too_large_is_declined() -> None:
    large = {**FORM, "message": "x" * 200_000}
    assert answers(lambda question: True, large, "2025-11-25") == {"action": "decline"}


def test_what_goes_wrong_with_one_message_of_a_server_does_not_hurt_the_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    changed = threading.Event()

    def refuse(*_: Any) -> None:
        raise ConfigurationError("no key")

    def no_thread(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    inbox = Inbox("x", lambda question, patience: {}, changed.set)
    with monkeypatch.context() as context:
        context.setattr("agentkit.mcp.inbox.WORKERS", SimpleNamespace(submit=no_thread))
        inbox.hear({"method": "ping", "id": 1}, refuse)
    inbox.hear({"method": "ping", "id": [1]}, refuse)
    inbox.hear({"method": "ping", "id": "x" * 2000}, refuse)
    inbox.hear({"method": "notifications/tools/list_changed"}, refuse)
    assert changed.wait(20)
    assert caplog.text.count("answering a message of an MCP server raised") == 1


@pytest.mark.parametrize("method", ["sampling/createMessage", "roots/list", "no/such"])
def test_what_the_client_does_not_support_is_refused(method: str) -> None:
    with bad(era="2025-11-25") as client:
        answer = json.loads(text_of(client.call_tool("asks_for", {"method": method})))
        assert answer["error"]["code"] == -32601
    with bad() as client, pytest.raises(MCPError, match="does not support"):
        client.call_tool("needs_input", {"requests": {"q": {"method": method}}})


def test_a_server_that_puts_a_call_off_is_asked_again_as_long_as_there_is_patience(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with bad(note=str(note)) as client:
        assert text_of(client.call_tool("needs_input", {})) == "null"
        with pytest.raises(Slow, match=r"put off|has not answered"):
            client.call_tool("never_enough", {}, patience=Patience(1.0))
        assert 3 <= note.read_text().count("never_enough") <= 10


def test_a_server_that_asks_again_and_again_is_asked_ten_times() -> None:
    asked: list[Question] = []
    with bad(ask=asked.append) as client, pytest.raises(MCPError, match="10 times"):
        client.call_tool("always_asks", {})
    assert len(asked) == 10


def test_a_call_that_is_refused_until_a_person_has_visited_a_page_is_made_then() -> None:
    calls: list[str] = []

    def server(message: Mapping[str, Any]) -> Any:
        if message["method"] == "tools/call":
            calls.append(message["method"])
            if len(calls) == 1:
                raise MCPError("sign in first", -32042, {"elicitations": [PAGE]})
            return {"content": []}
        return MODERN

    asked: list[Question] = []

    def ask(question: Question) -> Answer:
        asked.append(question)
        return True

    client, _ = played(server)
    with pytest.raises(MCPError, match="sign in first"):
        client.call_tool("pay", {})
    calls.clear()
    assert client.call_tool("pay", {}, ask=ask) == {"content": []}
    assert [question.url for question in asked] == [PAGE["url"]]


def test_a_call_that_is_refused_until_nobody_has_visited_anything_is_not_sent_again() -> None:
    calls: list[str] = []

    def server(message: Mapping[str, Any]) -> Any:
        if message["method"] == "tools/call":
            calls.append(message["method"])
            raise MCPError("sign in first", -32042, {"elicitations": ["x"]})
        return MODERN

    client, _ = played(server)
    with pytest.raises(MCPError, match="sign in first"):
        client.call_tool("pay", {}, ask=lambda question: True)
    assert calls == ["tools/call"]


def test_a_call_for_which_there_is_no_time_is_not_sent(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with bad(note=str(note)) as client:
        client.server()
        for patience in (Patience(5.0, time.monotonic() - 1), Patience(5.0, cancel=SET)):
            with pytest.raises(Slow) as caught:
                client.call_tool("echo", {}, patience=patience)
            assert not caught.value.sent
    assert note.read_text().split() == ["start"]


SET = threading.Event()
SET.set()


def test_pings_are_answered_even_hundreds_of_them_and_before_the_greeting() -> None:
    for era in ("modern", "2025-11-25"):
        with bad(era=era, start="ping") as client:
            assert json.loads(text_of(client.call_tool("pings", {})))["result"] == {}


@pytest.mark.parametrize("era", ["modern", "2025-11-25"])
def test_a_change_of_the_tools_is_told(era: str) -> None:
    changed = threading.Event()
    with bad(era=era, changed=changed.set) as client:
        client.server()
        until(lambda: era != "modern" or "True" in text_of(client.call_tool("change", {})))
        client.call_tool("change", {})
        assert changed.wait(15)


def test_a_function_for_changes_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def refuse() -> None:
        raise ValueError("secret")

    with bad(era="2025-11-25", changed=refuse) as client:
        client.call_tool("change", {})
        until(lambda: "raised ValueError" in caplog.text)
        assert text_of(client.call_tool("echo", {})) == "{}"


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "30", True, None])
def test_a_timeout_that_is_no_positive_number_is_refused(timeout: Any) -> None:
    with pytest.raises(ConfigurationError, match="timeout="):
        Client(lambda heard: Played(dict), "x", timeout)
