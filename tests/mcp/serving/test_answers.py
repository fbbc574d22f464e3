"""What the server answers: one client over pipes, in both eras, with raw JSON-RPC."""

import json
import threading
from typing import Any

import pytest

from agentkit import Agent, Context, tool
from agentkit.backends import OpenAIBackend
from agentkit.mcp.serving import answering
from agentkit.mcp.serving.answering import Server
from tests.mcp.serving.conftest import Connect
from tests.support import mcp_tools
from tests.support.growth import assert_linear
from tests.support.mcp_clients import Lines, call_of, initialize, request, stateless, text_of
from tests.support.model_server import calls, serve, whole
from tests.support.waiting import until

VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_of_each_version_with_a_handshake_is_served(client: Lines, version: str) -> None:
    result = client.ask(initialize(version))["result"]
    assert result["protocolVersion"] == version
    assert set(result["capabilities"]) == {"tools", "prompts", "resources"}
    assert result["serverInfo"]["name"] == "agentkit"
    client.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    listed = {each["name"]: each for each in client.ask(request("tools/list"))["result"]["tools"]}
    assert listed["add"]["annotations"] == {"readOnlyHint": True}
    assert listed["pay"]["annotations"] == {"readOnlyHint": False}
    assert listed["add"]["inputSchema"]["required"] == ["a", "b"]
    assert text_of(client.ask(call_of("add", a=1, b=2))) == "3"
    assert client.ask(request("ping"))["result"] == {}


def test_a_client_of_an_unknown_version_is_offered_the_latest_with_a_handshake(client: Lines) -> None:
    assert client.ask(initialize("1999-01-01"))["result"]["protocolVersion"] == VERSIONS[-1]


def test_a_stateless_client_needs_no_handshake(client: Lines) -> None:
    found = client.ask(stateless(request("server/discover")))["result"]
    assert found["supportedVersions"] == ["2026-07-28"]
    assert found["resultType"] == "complete"
    assert found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "agentkit"
    assert (found["ttlMs"] > 0, found["cacheScope"]) == (True, "public")
    result = client.ask(stateless(call_of("add", a=1, b=2)))["result"]
    assert (result["resultType"], result["structuredContent"]) == ("complete", {"result": 3})


def test_both_eras_are_served_on_one_connection(client: Lines) -> None:
    assert "resultType" not in client.ask(request("tools/list"))["result"]
    assert client.ask(stateless(request("tools/list")))["result"]["resultType"] == "complete"
    assert client.ask(initialize())["result"]["protocolVersion"] == VERSIONS[-1]


@pytest.mark.parametrize("era", ["handshake", "stateless"])
@pytest.mark.parametrize(
    ("method", "key"),
    [("prompts/list", "prompts"), ("resources/list", "resources"), ("resources/templates/list", "resourceTemplates")],
)
def test_what_is_not_served_is_an_empty_list(client: Lines, era: str, method: str, key: str) -> None:
    message = request(method)
    assert client.ask(stateless(message) if era == "stateless" else message)["result"][key] == []


def test_a_request_without_its_meta_is_told_what_is_missing(client: Lines) -> None:
    error = client.ask(request("tools/list", {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}))[
        "error"
    ]
    assert error["code"] == -32602
    assert "clientCapabilities" in error["message"]


def test_an_unknown_version_is_told_the_supported_ones(client: Lines) -> None:
    message = stateless(request("tools/list"))
    message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2031-01-01"
    error = client.ask(message)["error"]
    assert error["code"] == -32022
    assert error["data"] == {"supported": ["2026-07-28"], "requested": "2031-01-01"}


@pytest.mark.parametrize("method", ["initialize", "ping", "logging/setLevel", "no/such"])
def test_methods_of_the_other_era_are_unknown(client: Lines, method: str) -> None:
    assert client.ask(stateless(request(method)))["error"]["code"] == -32601


def test_a_resource_is_not_found(client: Lines) -> None:
    assert client.ask(request("resources/read", {"uri": "x://y"}))["error"]["code"] == -32002
    error = client.ask(stateless(request("resources/read", {"uri": "x://y"})))["error"]
    assert (error["code"], error["data"]) == (-32602, {"uri": "x://y"})


@pytest.mark.parametrize(
    "garbage",
    [
        b"garbage\n",
        b"{\n",
        b"\xff\xfe\x00\n",
        b'{"id": NaN}\n',
        b'{"id": 1e999}\n',
        b"[" * 100_000 + b"\n",
        b'{"a": ' + b"9" * 5000 + b"}\n",
    ],
    ids=["words", "half", "bytes", "nan", "infinity", "deep", "number"],
)
def test_garbage_is_answered_and_the_server_goes_on(client: Lines, garbage: bytes) -> None:
    client.send(garbage)
    answer = client.receive()
    assert (answer["id"], answer["error"]["code"]) == (None, -32700)
    assert text_of(client.ask(call_of("add", a=1, b=2))) == "3"


@pytest.mark.parametrize(
    "message",
    [5, "text", None, {}, {"jsonrpc": "1.0", "id": 1, "method": "ping"}, {"jsonrpc": "2.0", "id": 1, "method": 5}],
    ids=["number", "text", "null", "empty", "version", "method"],
)
def test_what_is_no_message_is_refused(client: Lines, message: Any) -> None:
    client.send(message)
    assert client.receive()["error"]["code"] == -32600


@pytest.mark.parametrize("number", [None, True, 1.5, [], {}], ids=["null", "true", "half", "list", "object"])
def test_an_id_that_is_none_is_refused(client: Lines, number: Any) -> None:
    client.send({"jsonrpc": "2.0", "id": number, "method": "ping"})
    answer = client.receive()
    assert (answer["id"], answer["error"]["code"]) == (None, -32600)


@pytest.mark.parametrize("number", [0, -1, 2**63, "x", "", "1"], ids=["0", "-1", "large", "x", "empty", "text"])
def test_an_id_comes_back_as_it_was(client: Lines, number: Any) -> None:
    assert client.ask(request("ping", number=number))["id"] == number


def test_params_that_are_no_object_are_refused(client: Lines) -> None:
    assert client.ask(request("tools/list", [1]))["error"]["code"] == -32602  # type: ignore[arg-type]


def test_notifications_and_answers_get_none(client: Lines) -> None:
    client.send({"jsonrpc": "2.0", "method": "notifications/no-such"}, {"jsonrpc": "2.0", "id": 5, "result": {}})
    client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": [1]}})
    client.send(b"\n", b"  \r\n")
    assert client.ask(request("ping", number=9))["id"] == 9
    assert client.others == []


def test_a_byte_order_mark_and_windows_line_ends_are_no_matter(client: Lines) -> None:
    client.send(b"\xef\xbb\xbf" + json.dumps(request("ping")).encode() + b"\r\n")
    assert client.receive()["result"] == {}


def test_a_list_of_messages_is_answered_by_a_list(client: Lines) -> None:
    client.ask(initialize("2025-03-26"))
    client.send(
        [call_of("add", 1, a=1, b=1), {"jsonrpc": "2.0", "method": "notifications/x"}, request("ping", number=2), 5]
    )
    answers = client.receive()
    assert [each["id"] for each in answers] == [1, 2, None]
    assert text_of(answers[0]) == "2"
    assert answers[2]["error"]["code"] == -32600


@pytest.mark.parametrize(
    ("version", "messages"),
    [
        ("2025-06-18", [request("ping")]),
        ("2025-03-26", []),
        ("2025-03-26", [initialize()]),
        ("2025-03-26", [[request("ping")]]),
        ("2025-03-26", [request("ping")] * 101),
    ],
    ids=["version", "empty", "initialize", "nested", "long"],
)
def test_a_list_that_can_not_be_one_is_refused(client: Lines, version: str, messages: list[Any]) -> None:
    client.ask(initialize(version))
    client.send(messages)
    assert client.receive()["error"]["code"] == -32600


def test_arguments_that_do_not_fit_are_an_error_that_the_model_reads(client: Lines) -> None:
    for arguments in ({"a": "x", "b": 2}, {}, [1, 2], "{broken", 7):
        result = client.ask(request("tools/call", {"name": "add", "arguments": arguments}))["result"]
        assert result["isError"] is True
        assert "Correct" in result["content"][0]["text"] or "Write" in result["content"][0]["text"]


def test_arguments_are_read_as_generously_as_those_of_a_model(client: Lines) -> None:
    given = {"name": "add", "arguments": '{"a": "1", "b": 2.0}'}  # as a text, which some clients send
    assert text_of(client.ask(request("tools/call", given))) == "3"
    assert text_of(client.ask(request("tools/call", {"name": "dot"}))).startswith("a dot")


def test_arguments_that_are_nested_deeply_are_an_error_that_the_model_reads(client: Lines) -> None:
    for depth in range(900, 1000, 5):  # some can be read and not be written again
        deep = b'{"a": ' + b"[" * depth + b"]" * depth + b"}"
        client.send(json.dumps(call_of("add")).encode().replace(b'"arguments": {}', b'"arguments": ' + deep) + b"\n")
        answer = client.receive()
        assert "result" in answer or answer["error"]["code"] == -32700, depth


def test_an_unknown_tool_is_an_error_of_the_protocol(client: Lines) -> None:
    error = client.ask(call_of("ad"))["error"]
    assert (error["code"], "'add'" in error["message"]) == (-32602, True)
    assert client.ask(request("tools/call", {"name": 5}))["error"]["code"] == -32602


def test_neither_a_traceback_nor_a_path_leaves(client: Lines) -> None:
    result = client.ask(call_of("fails"))["result"]
    assert result["isError"] is True
    assert "OSError: can't open mcp_tools.py" in result["content"][0]["text"]
    assert "Traceback" not in str(result)
    assert "/" not in result["content"][0]["text"]


def test_what_a_tool_says_is_an_error_is_told_as_it_is(client: Lines) -> None:
    assert client.ask(call_of("refuses"))["result"] == {
        "content": [{"type": "text", "text": "there is no such city"}],
        "isError": True,
    }


def test_an_answer_that_is_no_json_is_an_error_and_the_server_goes_on(connect: Connect) -> None:
    @tool
    def choose(ctx: Context) -> str:
        """Asks with a schema that is no JSON."""
        return str(ctx.ask("Which?", {"type": "object", "properties": {"when": {"enum": {"a", "b"}}}}))

    client = connect(Server([choose, mcp_tools.add]))
    answer = client.ask(stateless(call_of("choose", 7), elicitation={}))
    assert (answer["id"], answer["error"]["code"]) == (7, -32603)
    assert text_of(client.ask(call_of("add", a=1, b=2))) == "3"


def test_a_tool_that_raises_what_is_no_exception_ends_its_call_alone(connect: Connect) -> None:
    def interrupt(values: Any = None) -> bool:
        """Is interrupted."""
        raise KeyboardInterrupt

    @tool(approve=interrupt)
    def approved() -> str:
        """Is interrupted before it runs."""
        return ""

    client = connect(Server([interrupt, approved, mcp_tools.add]))
    result = client.ask(call_of("interrupt"))["result"]
    assert (result["isError"], "KeyboardInterrupt" in result["content"][0]["text"]) == (True, True)
    assert client.ask(call_of("approved"))["error"]["code"] == -32603
    assert text_of(client.ask(call_of("add", a=1, b=2))) == "3"


def test_results_of_known_types_are_structured_too(client: Lines) -> None:
    schemas = {each["name"]: each.get("outputSchema") for each in client.ask(request("tools/list"))["result"]["tools"]}
    assert schemas["place"]["properties"].keys() == {"name", "people"}
    assert schemas["points"]["type"] == schemas["add"]["type"] == "object"
    assert schemas["lines"] is schemas["long"] is schemas["dot"] is None
    result = client.ask(call_of("place", name="Oslo"))["result"]
    assert result["structuredContent"] == {"name": "Oslo", "people": 717710}
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
    points = client.ask(call_of("points", count=2))["result"]["structuredContent"]
    assert points == {"result": [{"x": 0.0, "y": 0.5}, {"x": 1.0, "y": 0.5}]}


def test_a_result_of_another_type_than_declared_is_an_error(client: Lines) -> None:
    result = client.ask(call_of("wrong_place"))["result"]
    assert result["isError"] is True
    assert "structuredContent" not in result
    assert '{"name": 5}' in result["content"][0]["text"]


@pytest.mark.parametrize(("kind", "is_error"), [(dict[str, Any], False), (float, True)], ids=["object", "number"])
def test_a_number_that_json_lacks_is_no_null(connect: Connect, kind: Any, is_error: bool) -> None:
    def average() -> Any:
        """Averages nothing."""
        return float("nan") if kind is float else {"mean": float("nan")}

    average.__annotations__["return"] = kind
    client = connect(Server([tool(read_only=True)(average)]))
    result = client.ask(call_of("average"))["result"]
    assert result["isError"] is is_error
    assert "NaN" in result["content"][0]["text"]
    assert is_error or result["structuredContent"] == {"mean": "NaN"}


def test_a_result_that_is_kept_is_structured_too(connect: Connect) -> None:
    @tool(read_only=True, cache=60)
    def sizes() -> dict[str, int]:
        """Returns sizes."""
        return {"a": 1}

    client = connect(Server([sizes]))
    for _ in range(2):
        assert client.ask(call_of("sizes"))["result"]["structuredContent"] == {"a": 1}


def test_images_and_long_results_leave_whole(client: Lines) -> None:
    content = client.ask(call_of("dot"))["result"]["content"]
    assert [each["type"] for each in content] == ["text", "image"]
    assert content[1]["mimeType"] == "image/png"
    assert text_of(client.ask(call_of("long", size=300_000))) == "x" * 300_000
    assert text_of(client.ask(call_of("lines", count=3))) == "line 0\nline 1\nline 2"


def test_arguments_of_a_megabyte_arrive(client: Lines) -> None:
    assert text_of(client.ask(call_of("size_of", text="ü" * 1_000_000))) == "1000000"


def test_half_a_character_is_replaced(connect: Connect) -> None:
    @tool(read_only=True)
    def half() -> str:
        """Returns half an emoji."""
        return "x\ud83d"

    assert text_of(connect(Server([half])).ask(call_of("half"))) == "x\ufffd"


def test_calls_run_side_by_side(connect: Connect) -> None:
    meeting = threading.Barrier(16)

    @tool(read_only=True)
    def meet(guest: int) -> str:
        """Waits for the other calls."""
        meeting.wait(60)
        return str(guest)

    client = connect(Server([meet]))
    client.send(*(call_of("meet", number, guest=number) for number in range(16)))
    answers = [client.receive() for _ in range(16)]
    assert sorted((each["id"], text_of(each)) for each in answers) == sorted((each, str(each)) for each in range(16))


def test_progress_is_reported_to_who_has_asked_for_it(client: Lines) -> None:
    message = request("tools/call", {"name": "steps", "arguments": {"count": 3}, "_meta": {"progressToken": "t"}})
    client.ask(message)
    found = [each["params"] for each in client.others]
    assert [each["message"] for each in found] == ["step 0", "step 1", "step 2"]
    assert [each["progress"] for each in found] == [1, 2, 3]
    assert {each["progressToken"] for each in found} == {"t"}
    client.others.clear()
    client.ask(call_of("steps", count=3))
    assert client.others == []


def test_a_progress_token_that_is_none_gets_no_reports(client: Lines) -> None:
    given = {"name": "steps", "arguments": {"count": 3}, "_meta": {"progressToken": {"a": [1]}}}
    assert text_of(client.ask(request("tools/call", given))) == "done"
    assert client.others == []


def test_no_progress_follows_the_result(connect: Connect) -> None:
    kept: list[Any] = []

    @tool(read_only=True)
    def keeps(ctx: Context) -> str:
        """Keeps its context."""
        kept.append(ctx)
        return "done"

    client = connect(Server([keeps]))
    client.ask(request("tools/call", {"name": "keeps", "_meta": {"progressToken": 1}}))
    kept[0].progress("too late")
    client.ask(request("ping", number=2))
    assert client.others == []


def test_a_cancelled_call_stops_and_is_not_answered(client: Lines) -> None:
    client.send(call_of("wait", 7))
    assert mcp_tools.STARTED.wait(60)
    client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}})
    assert mcp_tools.CANCELLED.wait(60)
    assert client.ask(request("ping", number=8))["id"] == 8
    assert client.others == []


def test_a_call_that_is_cancelled_before_it_has_begun_does_not_begin(client: Lines) -> None:
    client.ask(initialize("2025-03-26"))
    client.send([call_of("wait", 7), call_of("pay", 8, amount=1), call_of("add", 9, a=1, b=2)])
    assert mcp_tools.STARTED.wait(60)
    for number in (8, 7):
        client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}})
    assert [each["id"] for each in client.receive()] == [9]
    assert mcp_tools.NOTED == []


def test_another_request_of_the_same_number_as_a_text_is_not_cancelled(client: Lines) -> None:
    client.send(call_of("wait", 7))
    assert mcp_tools.STARTED.wait(60)
    client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "7"}})
    client.ask(request("ping", number=8))
    assert not mcp_tools.CANCELLED.is_set()
    client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}})
    assert mcp_tools.CANCELLED.wait(60)


def test_a_hung_tool_is_given_up_and_the_server_goes_on(connect: Connect) -> None:
    client = connect(Server(mcp_tools.TOOLS, timeout=0.2))
    assert client.ask(call_of("hang"))["result"] == {
        "content": [{"type": "text", "text": "hang did not finish within 0.2 seconds."}],
        "isError": True,
    }
    assert text_of(client.ask(call_of("add", a=1, b=2))) == "3"


def test_a_call_takes_its_place_until_its_tool_has_ended(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "MAX_CALLS", 1)
    end = threading.Event()

    @tool(read_only=True, timeout=0.05)
    def hangs() -> str:
        """Goes on when it was given up."""
        return str(end.wait(60))

    client = connect(Server([hangs, mcp_tools.add]))
    assert "did not finish" in text_of(client.ask(call_of("hangs")))
    assert "busy" in text_of(client.ask(call_of("add", a=1, b=2)))
    end.set()
    until(lambda: text_of(client.ask(call_of("add", a=1, b=2))) == "3")


def test_the_steps_of_an_agent_are_progress(connect: Connect) -> None:
    with serve([calls(("add", {"a": 1, "b": 2})), whole("It is 3.")]) as model:
        backend = OpenAIBackend("m", base_url=model.url, api_key="x")
        agent = Agent(backend, tools=[mcp_tools.add])
        client = connect(Server(agent))
        listed = client.ask(request("tools/list"))["result"]["tools"]
        assert [(each["name"], each["annotations"]["readOnlyHint"]) for each in listed] == [("ask", True)]
        message = call_of("ask", task="What is 1 + 2?")
        message["params"]["_meta"] = {"progressToken": 1}
        assert text_of(client.ask(message)) == "It is 3."
        assert [each["params"]["message"] for each in client.others] == ['ask: add({"a": 1, "b": 2})']


def test_reading_messages_takes_linear_time(connect: Connect) -> None:
    server = Server([mcp_tools.size_of])
    client = connect(server)

    def ask(size: int) -> None:
        client.ask(call_of("size_of", text="\\" * size))

    assert_linear(ask, 200_000)
