"""The tools of an MCP server as tools of an agent: names, descriptions, effects, arguments, options."""

import json
import sys
import threading
import time
from typing import Any

import pytest

from agentkit import Agent, ConfigurationError, Context, Tool
from agentkit.errors import ToolDefinitionError
from agentkit.event import ToolProgress
from agentkit.mcp import MCP, Gone, MCPError, Slow
from agentkit.mcp.server_tool import prefixed_name, shown_names
from agentkit.mcp.settings import Settings
from agentkit.testing import ScriptedBackend
from agentkit.tooling.definition import NAME
from tests.mcp.tools.planned import SERVER, Make, Planned, answer, entry, text

READS = {"annotations": {"readOnlyHint": True}}
ERAS = pytest.mark.parametrize("era", ["legacy", "modern"])


@ERAS
def test_a_model_calls_a_tool_of_a_server(server: Make, era: str) -> None:
    backend = ScriptedBackend(("greet", {"name": "Ada"}), "Done.")
    tools = server(entry("greet", {"name": {"type": "string"}}), era=era, results={"greet": text("Hello, Ada!")})
    result = Agent(backend, tools=[tools]).run("Greet Ada.")
    assert result.output == "Done."
    assert [each.response for each in result.tool_calls] == ["Hello, Ada!"]
    assert backend.requests[0].tools == [
        {
            "type": "function",
            "function": {
                "name": "greet",
                "description": "Does greet.",
                "parameters": {"type": "object", "properties": {"name": {"type": "string"}}},
            },
        }
    ]


def test_tools_are_sorted_by_name_whatever_the_order_of_the_server(server: Make) -> None:
    tools = server(*map(entry, ("write", "append", "read")))
    assert [each.name for each in tools.tools()] == ["append", "read", "write"]


@ERAS
def test_all_pages_of_a_list_are_read(server: Make, era: str) -> None:
    tools = server(*(entry(f"t{number:04}") for number in range(2_000)), era=era, page=300)
    assert len(tools.tools()) == 2_000
    assert Agent(ScriptedBackend("ok"), tools=[tools]).run("Go on.").output == "ok"


def test_a_cursor_that_repeats_ends_the_list(server: Make, caplog: pytest.LogCaptureFixture) -> None:
    tools = server(entry("a"), entry("b"), page=0)
    assert list(tools.tools()) == []
    assert "repeats a page" in caplog.text


@pytest.mark.parametrize("tools", [None, 3, {}, "tools", [1, None, "x"], [{}], [{"name": 3}], [{"name": ""}]])
def test_a_malformed_list_leaves_no_tools_and_a_warning(
    planned: Planned, tools: Any, caplog: pytest.LogCaptureFixture
) -> None:
    planned.set()
    planned.file.write_text(json.dumps({**planned.plan, "tools": tools}), "utf-8")
    with MCP(planned.words(), "good") as made:
        assert Agent(ScriptedBackend("ok"), tools=[made]).run("Go on.").output == "ok"
    assert "it has no tools" in caplog.text


def test_malformed_entries_are_left_out(server: Make, caplog: pytest.LogCaptureFixture) -> None:
    tools = server(entry("good"), {"description": "nameless"}, entry("good", description="another"))
    assert [each.description for each in tools.tools()] == ["Does good."]
    assert "tool 'good' is left out: it has no name of its own" in caplog.text


def test_a_tool_that_runs_as_a_task_only_is_left_out(server: Make, caplog: pytest.LogCaptureFixture) -> None:
    tools = server(entry("now"), entry("later", execution={"taskSupport": "required"}))
    assert [each.name for each in tools.tools()] == ["now"]
    assert "'later' is left out: it runs as a task only" in caplog.text


# Names

NAMES = [
    ("calendar.read", "calendar_read"),
    ("a b/c", "a_b_c"),
    ("x" * 64, "x" * 64),
    ("-_-", "-_-"),
]


@pytest.mark.parametrize(("given", "expected"), NAMES)
def test_a_name_becomes_one_that_servers_of_models_accept(given: str, expected: str, server: Make) -> None:
    tools = server(entry(given), results={given: text("done")})
    assert [each.name for each in tools.tools()] == [expected]
    assert answer(tools, expected).text == "done"


@pytest.mark.parametrize(
    "given",
    [
        ["x" * 80, "x" * 81],
        ["查询天气", "查询"],
        ["a.b", "a/b", "a_b"],
        ["...", "!!!"],
        ["é", "e"],
        ["a b", "a_b", "a_b_c8687a08"],
    ],
)
def test_names_are_distinct_and_the_same_in_any_order(given: list[str]) -> None:
    made = shown_names(given)
    assert len(set(made.values())) == len(given)
    assert all(NAME.fullmatch(each) for each in made.values())
    assert shown_names(reversed(given)) == made


def test_a_valid_name_is_kept_where_another_would_become_it() -> None:
    assert shown_names(["a.b", "a_b"])["a_b"] == "a_b"


def test_a_long_name_behind_a_prefix_stays_distinct() -> None:
    made = {prefixed_name("files_", "x" * 63 + end) for end in "ab"}
    assert len(made) == 2
    assert all(NAME.fullmatch(each) for each in made)


def test_tools_of_two_servers_with_one_name_get_the_names_of_their_servers(planned: Planned) -> None:
    planned.set(entry("query"), entry("other"))
    backend = ScriptedBackend("ok")
    with MCP(planned.words(), "sales") as one, MCP(planned.words(), "stock") as two:
        Agent(backend, tools=[one.without("other"), two]).run("Go on.")
    assert [each["function"]["name"] for each in backend.requests[0].tools] == ["sales_query", "other", "stock_query"]


def test_a_model_may_write_the_name_of_the_server(server: Make) -> None:
    backend = ScriptedBackend(("calendar.read", {}), "Done.")
    read = entry("calendar.read", **READS)
    tools = server(read, results={"calendar.read": text("Monday")})
    assert [each.response for each in Agent(backend, tools=[tools]).run("Read.").tool_calls] == ["Monday"]


# Descriptions


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"description": "  Reads.  "}, "Reads."),
        ({"description": " ", "title": "Reader"}, "Reader"),
        ({"description": None, "annotations": {"title": "Reader"}}, "Reader"),
        ({"description": 3}, "it"),
        ({"description": ""}, "it"),
    ],
)
def test_a_tool_has_a_description(fields: dict[str, Any], expected: str, server: Make) -> None:
    assert [each.description for each in server(entry("it", **fields)).tools()] == [expected]


def test_a_very_long_description_is_cut_at_the_end_of_a_sentence(
    server: Make, caplog: pytest.LogCaptureFixture
) -> None:
    (tool,) = server(entry("it", description="It reads a file. " * 10_000)).tools()
    assert 4_000 < len(tool.description) <= 8_000
    assert tool.description.endswith("a file.…")
    assert caplog.text == ""


# Effects


@pytest.mark.parametrize("hint", [True, False, None, "true", 1])
def test_a_tool_of_a_command_is_read_only_when_it_says_so(hint: Any, server: Make) -> None:
    (tool,) = server(entry("it", annotations={"readOnlyHint": hint})).tools()
    assert tool.options.read_only is (hint is True)


@pytest.mark.parametrize("annotations", [None, [], "readOnlyHint"])
def test_hints_that_are_none_make_a_tool_with_effects(annotations: Any, server: Make) -> None:
    (tool,) = server(entry("it", annotations=annotations)).tools()
    assert not tool.options.read_only


def test_what_an_http_server_says_of_effects_is_believed_only_when_the_user_says_so() -> None:
    assert not Settings("https://tools.example/mcp").is_trusted
    assert Settings("https://tools.example/mcp", trust_hints=True).is_trusted
    assert Settings("some-server").is_trusted


def test_approval_works_as_on_any_tool(server: Make) -> None:
    backend = ScriptedBackend(("delete", {"path": "a"}), "Deleted.")
    tools = server(entry("delete", {"path": {"type": "string"}}), results={"delete": text("gone")})
    agent = Agent(backend, tools=[tools.replace("delete", approve=True)])
    paused = agent.run("Delete a.")
    assert [each.name for each in paused.pending] == ["delete"]
    result = agent.resume(paused.messages, approve={paused.pending[0].id: True})
    assert (result.output, result.tool_calls[-1].response) == ("Deleted.", "gone")


# Arguments

SEARCH = entry(
    "search",
    {
        "query": {"type": "string"},
        "limit": {"type": "integer"},
        "after": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "note": {"type": ["string", "null"]},
        "order": {"enum": ["asc", "desc"]},
        "where": {"oneOf": [{"type": "string"}, {"type": "object", "properties": {"id": {"type": "integer"}}}]},
    },
)
SEARCH["inputSchema"]["required"] = ["query"]
ARGUMENTS = [
    ({"query": "a", "limit": None, "after": None}, {"query": "a"}),
    ({"query": "a", "note": None}, {"query": "a", "note": None}),
    ({"query": "a", "limit": "3"}, {"query": "a", "limit": 3}),
    ({"query": "a", "limit": 3.0}, {"query": "a", "limit": 3}),
    ({"query": "a", "tags": "x"}, {"query": "a", "tags": ["x"]}),
    ({"query": "a", "tags": '["x"]'}, {"query": "a", "tags": ["x"]}),
    ({"query": "a", "order": "ASC"}, {"query": "a", "order": "asc"}),
    ({"query": "a", "where": {"id": "7"}}, {"query": "a", "where": {"id": 7}}),
    ({"arguments": {"query": "a"}}, {"query": "a"}),
]


@pytest.mark.parametrize(("given", "sent"), ARGUMENTS, ids=[str(number) for number in range(len(ARGUMENTS))])
def test_arguments_are_sent_as_the_schema_has_them(given: Any, sent: Any, server: Make) -> None:
    assert json.loads(answer(server(SEARCH), "search", given).text) == sent


def test_a_call_without_arguments_sends_an_empty_object(server: Make, planned: Planned) -> None:
    tools = server(entry("now"))
    assert tools.tools()[0].answer("", Context()).text == "{}"
    assert planned.requests("tools/call")[0]["params"]["arguments"] == {}


def test_null_is_left_out_where_it_is_the_default(server: Make, planned: Planned) -> None:
    """openclaw/openclaw#96716: servers that take a null for a value, which models write for what they leave out."""
    nullable = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    properties = {
        "left": {**nullable, "default": None},
        "needed": {**nullable, "default": None},
        "cleared": nullable,
        "set": {**nullable, "default": "x"},
    }
    made = entry("a", properties)
    made["inputSchema"]["required"] = ["needed"]
    answer(server(made), "a", dict.fromkeys(properties))
    sent = planned.requests("tools/call")[0]["params"]["arguments"]
    assert sent == {"needed": None, "cleared": None, "set": None}


def test_arguments_that_do_not_fit_are_told_to_the_model_and_not_sent(server: Make, planned: Planned) -> None:
    outcome = answer(server(SEARCH), "search", {"query": ["a"], "limit": "many"})
    assert outcome.failed
    assert "'many' is not of type 'integer'" in outcome.text
    assert planned.requests("tools/call") == []


def test_a_name_that_an_effectful_tool_does_not_have_is_told_to_the_model(server: Make) -> None:
    outcome = answer(server(SEARCH), "search", {"query": "a", "max": 3})
    assert outcome.failed
    assert "it has no argument 'max'" in outcome.text


@pytest.mark.parametrize("name", ["self", "arguments", "ctx", "context", "name", "entry", "function", "tool"])
def test_an_argument_may_have_any_name(name: str, server: Make) -> None:
    tools = server(entry("it", {name: {"type": "string"}}))
    assert json.loads(answer(tools, "it", {name: "x"}).text) == {name: "x"}


# Options


def test_options_of_tools_are_replaced(server: Make) -> None:
    tools = server(entry("read", **READS), entry("write")).replace("re*", timeout=120, cache=60)
    read, write = tools.tools()
    assert (read.options.timeout, read.options.cache, read.options.read_only) == (120, 60, True)
    assert write.options.timeout is None
    assert tools.tools() is tools.tools()


def test_a_tool_that_is_said_to_be_read_only_is_sent_again_after_its_server_has_ended(planned: Planned) -> None:
    planned.set(entry("it"), results={"it": {"dies": True}})
    with MCP(planned.words(), "good") as tools:
        assert "it is not known whether" in answer(tools, "it").text
        assert len(planned.requests("tools/call")) == 1
        answer(tools.replace(read_only=True), "it")
        assert len(planned.requests("tools/call")) == 3


def test_the_timeout_of_a_tool_is_that_of_its_calls(planned: Planned, tmp_path: Any) -> None:
    planned.set(entry("it"), results={"it": {"waits": str(tmp_path / "go")}})
    with MCP(planned.words(), "good", timeout=5) as tools:
        with pytest.raises(Slow):
            tools.replace(timeout=0.2)["it"]()
        threading.Timer(0.5, (tmp_path / "go").touch).start()
        assert tools.replace(timeout=60)["it"]() == "(done; there is no output)"


def test_a_server_may_take_longer_to_start_than_a_call(planned: Planned) -> None:
    planned.set(entry("it"))
    code = f"import sys, time; time.sleep(1); sys.argv[1:] = {planned.words()[-2:]!r}; import runpy"
    code += f"; runpy.run_path({str(SERVER)!r}, run_name='__main__')"
    with MCP([sys.executable, "-S", "-c", code], "good", timeout=0.5) as tools:
        assert [each.name for each in tools.tools()] == ["it"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"isolate": True}, "isolate=True"),
        ({"timeout": 0}, "timeout=0"),
        ({"cache": 60}, "needs read_only=True"),
    ],
)
def test_options_that_do_not_fit_are_an_error(options: Any, error: str, server: Make) -> None:
    with pytest.raises(ToolDefinitionError, match=f"replace.*tool it.*{error}"):
        server(entry("it")).replace(**options).tools()


def test_an_unknown_option_is_an_error_at_once(server: Make) -> None:
    with pytest.raises(TypeError, match="aprove"):
        server(entry("it")).replace(aprove=True)  # type: ignore[call-arg]


# In a run


@ERAS
def test_progress_of_the_server_is_shown(server: Make, era: str) -> None:
    tools = server(entry("it"), era=era, results={"it": {**text("done"), "progress": ["half", "nearly"]}})
    events = list(Agent(ScriptedBackend(("it", {}), "ok"), tools=[tools]).stream("Go on."))
    assert [each.text for each in events if isinstance(each, ToolProgress)] == ["half", "nearly"]


def test_a_cancelled_run_does_not_wait_for_a_server(planned: Planned, tmp_path: Any) -> None:
    planned.set(entry("it"), results={"it": {"waits": str(tmp_path / "never")}})
    cancel = threading.Event()
    with MCP(planned.words(), "good") as tools:
        threading.Timer(0.3, cancel.set).start()
        started = time.monotonic()
        outcome = answer(tools, "it", context=Context(cancel=cancel))
        assert outcome.failed
        assert time.monotonic() - started < 15
        (tmp_path / "never").touch()


def test_a_deadline_of_a_run_ends_a_call(planned: Planned, tmp_path: Any) -> None:
    planned.set(entry("it"), results={"it": {"waits": str(tmp_path / "never")}})
    with MCP(planned.words(), "good") as tools:
        tools.tools()
        started = time.monotonic()
        assert answer(tools, "it", context=Context(deadline=started + 0.3)).failed
        assert time.monotonic() - started < 15
        (tmp_path / "never").touch()


def test_an_error_of_the_protocol_is_told_to_the_model(server: Make) -> None:
    tools = server(entry("it"), results={"it": {"error": {"code": -32000, "message": "quota exceeded"}}})
    assert answer(tools, "it").text == "Error: MCP server good: quota exceeded"
    with pytest.raises(MCPError) as caught:
        tools["it"]()
    assert caught.value.code == -32000


def test_a_server_that_has_ended_is_told_to_the_model_and_started_again(server: Make, planned: Planned) -> None:
    tools = server(entry("it"), entry("other"), results={"it": {"dies": True}})
    with pytest.raises(Gone) as caught:
        tools["it"]()
    assert caught.value.status == 3
    assert answer(tools, "other").text == "{}"
    assert len(planned.starts) == 2


def test_many_threads_call_the_tools_of_one_connection(server: Make, planned: Planned) -> None:
    tools = server(entry("it", {"n": {"type": "integer"}}))
    found: dict[int, str] = {}

    def call(number: int) -> None:
        found[number] = answer(tools, "it", {"n": number}).text

    threads = [threading.Thread(target=call, args=(number,)) for number in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert {number: json.loads(each) for number, each in found.items()} == {n: {"n": n} for n in range(16)}
    assert len(planned.starts) == 1


def test_tools_of_a_server_are_tools(server: Make) -> None:
    (tool,) = server(entry("it"))
    assert isinstance(tool, Tool)


def test_a_tool_of_a_server_called_alone_takes_its_arguments_by_name(server: Make) -> None:
    tools = server(entry("it", {"n": {"type": "integer"}}))
    assert json.loads(tools["it"](n=3)) == {"n": 3}
    (tool,) = tools
    assert json.loads(tool(n=4)) == {"n": 4}


def test_only_one_tool_can_be_called(server: Make) -> None:
    with pytest.raises(ConfigurationError, match="choose the one to call"):
        server(entry("a"), entry("b"))()


@ERAS
def test_a_question_of_a_server_is_answered(server: Make, era: str) -> None:
    asked = []

    def ask(question: Any) -> dict[str, Any]:
        asked.append(question)
        return {"name": "Ada"}

    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    plan = {"it": {"ask": {"message": "Your name?", "requestedSchema": schema}}}
    tools = server(entry("it"), era=era, results=plan, options={"ask": ask})
    assert json.loads(answer(tools, "it").text) == {"action": "accept", "content": {"name": "Ada"}}
    assert [(each.server, each.message, each.schema) for each in asked] == [("good", "Your name?", schema)]


@ERAS
def test_without_a_function_the_run_pauses_for_a_question(server: Make, planned: Planned, era: str) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "pattern": "^(a+)+$"}}, "required": ["n"]}
    tools = server(entry("it"), era=era, results={"it": {"ask": {"message": "How many?", "requestedSchema": schema}}})
    agent = Agent(ScriptedBackend(("it", {}), "Done."), tools=[tools])
    paused = agent.run("Go on.")
    (call,) = paused.pending
    assert call.question is not None
    assert call.question.text == "good asks: How many?"
    result = agent.resume(paused.messages, approve={call.id: {"n": "3"}})
    assert json.loads(result.tool_calls[-1].response) == {"action": "accept", "content": {"n": 3}}
    assert result.output == "Done."
    assert len(planned.requests("tools/call")) == (2 if era == "legacy" else 3)
    careful = Agent(ScriptedBackend(("it", {}), "Done."), tools=[tools.replace("it", approve=True)])
    paused = careful.run("Go on.")
    paused = careful.resume(paused.messages, approve={paused.pending[0].id: True})
    result = careful.resume(paused.messages, approve={paused.pending[0].id: {"n": 4}})
    assert json.loads(result.tool_calls[-1].response) == {"action": "accept", "content": {"n": 4}}
    assert result.tool_calls[-1].arguments == {}


@ERAS
def test_a_question_that_is_refused_makes_no_call(server: Make, planned: Planned, era: str) -> None:
    tools = server(entry("it"), era=era, results={"it": {"ask": {"message": "Sure?", "requestedSchema": {}}}})
    agent = Agent(ScriptedBackend(("it", {}), "Done."), tools=[tools])
    paused = agent.run("Go on.")
    result = agent.resume(paused.messages, approve={paused.pending[0].id: "not today"})
    assert "not today" in result.tool_calls[-1].response
    assert len(planned.requests("tools/call")) == 1


@ERAS
def test_outside_of_a_run_a_question_is_declined(server: Make, era: str) -> None:
    tools = server(entry("it"), era=era, results={"it": {"ask": {"message": "Your name?", "requestedSchema": {}}}})
    assert json.loads(tools["it"]()) == {"action": "decline"}
