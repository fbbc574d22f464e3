"""A call means the one tool that its name has inside, and what goes back has names and ids that any server takes."""

import json
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal

import pytest

from agentkit import Agent, Result, tool
from agentkit.event import OutputDelta, ToolStarted
from agentkit.testing import ScriptedBackend
from agentkit.tools import Tool
from tests.support.model_server import Answer, Asked, delta, serve, streamed, whole

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Tools:
    """Tools with an effect and without, and what they were called with."""

    def __init__(self) -> None:
        self.made: list[str] = []

        @tool
        def send(to: str = "nobody") -> str:
            """Send it."""
            self.made.append(f"send {to}")
            return f"sent to {to}"

        @tool(read_only=True)
        def search(query: str = "nothing") -> str:
            """Search for it."""
            self.made.append(f"search {query}")
            return f"found {query}"

        self.all: list[Tool[..., Any]] = [send, search]


def called(name: str, arguments: Any, call_id: Any = "c1", *, stream: bool) -> Answer:
    """The reply of a server that calls a tool by some name."""
    function = {"name": name, "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments)}
    calls = [{"index": 0, "id": call_id, "type": "function", "function": function}]
    if stream:
        return streamed(delta(tool_calls=calls), delta("tool_calls"))
    return whole({"role": "assistant", "content": None, "tool_calls": calls}, finish_reason="tool_calls")


def run(first: Answer, tools: list[Tool[..., Any]]) -> tuple[Result[str], list[dict[str, Any]]]:
    """A run on loopback; returns its result, and the messages that were sent last."""
    is_streamed = first.content_type == "text/event-stream"
    last = streamed(delta(content="Done."), delta("stop")) if is_streamed else whole("Done.")
    with serve([first, last]) as server, Agent(f"openai:m@{server.url}", tools=tools) as agent:
        result = agent.run("Go.")
        sent = server.requests[-1].body["messages"]
    assert result.output == "Done."
    for message in sent:
        for call in message.get("tool_calls", ()):
            assert NAME.fullmatch(call["function"]["name"])
            assert 0 < len(call["id"]) <= 40
    return result, sent


WRITTEN = [
    "functions.send",
    "functions.send:0",
    "functions/send",
    "functions::send",
    "functions_send",
    "default_api:send",
    "default_api.send",
    "tool:send",
    "tools.functions.send",
    " send\n",
    "\tsend ",
    "Send",
    "SEND",
    "`send`",
    '"send"',
    "**send**",
    "send()",
    "send:12",
    "send<|channel|>commentary",
    "send<|constrain|>json",
    "<|channel|>commentary to=functions.send",
    "assistant to=functions.send<|channel|>commentary json",
    "send<|im_end|>",
    "send</tool_call>",
    "send[ARGS]",
    "[TOOL_CALLS]send",
    "<function=send>",
    "ｓｅｎｄ",
    "se\u200bnd",
    "\ufeffsend",
    "sendsend",
    "send.send",
]


@pytest.mark.parametrize("stream", [False, True])
def test_the_one_tool_that_is_meant_is_called(stream: bool) -> None:
    names: list[str] = []
    done = streamed(delta(content="Done."), delta("stop")) if stream else whole("Done.")

    def answer(asked: Asked) -> Answer:
        is_first = asked.body["messages"][-1]["role"] == "user"
        return called(names[-1], {"to": "bob"}, stream=stream) if is_first else done

    with serve(answer) as server:
        for name in WRITTEN:
            names.append(name)
            tools = Tools()
            with Agent(f"openai:m@{server.url}", tools=tools.all[: 2 if stream else 1]) as agent:
                result = agent.run("Go.")
            assert (name, tools.made) == (name, ["send bob"])
            assert [record.name for record in result.tool_calls] == ["send"]
            assert server.requests[-1].body["messages"][1]["tool_calls"][0]["function"]["name"] == "send"


TOLD = [
    ("", "has no name"),
    ("погода", "has no name"),
    ("mcp__mail__send", "Did you mean 'send'?"),  # with an effect: perhaps of another program
    ("mail.send", "Did you mean 'send'?"),
    ("sned", "Did you mean 'send'?"),
    ("send_mail", "Did you mean 'send'?"),
    ('send(to="ann")', "Did you mean 'send'?"),
    ('send{"to": "ann"}', "Did you mean 'send'?"),
    ('send<|message|>{"to": "ann"}', "Did you mean 'send'?"),
    ('<|channel|>commentary to=functions.send <|message|>{"to": "ann"}', "Did you mean 'send'?"),
    ("search to=send", "no tool named"),
    ("send" + " " * 600 + "(to=ann)", "no tool named"),
    ("n" * 4000, "no tool named"),
    ("functions", "no tool named"),
    ("multi_tool_use.parallel", "no tool named"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("name", "told"), TOLD)
def test_a_name_that_leaves_a_doubt_is_told_to_the_model_with_the_nearest(name: str, told: str, stream: bool) -> None:
    tools = Tools()
    result, sent = run(called(name, {"to": "bob"}, stream=stream), tools.all)
    assert tools.made == []
    assert told in result.tool_calls[0].response
    assert "send, search" in sent[2]["content"]


def test_a_qualifier_is_enough_for_a_tool_that_changes_nothing() -> None:
    tools = Tools()
    for name in ("mcp__web__search", "web.search", "web/v1/search"):
        run(called(name, {"query": "x"}, stream=False), tools.all)
    assert tools.made == ["search x"] * 3


def test_a_tool_with_a_qualifier_is_meant_without_it_when_it_changes_nothing() -> None:
    made = []

    @tool(name="mcp__browser__look", read_only=True)
    def look() -> str:
        """Look."""
        made.append("look")
        return "seen"

    @tool(name="mcp__browser__click")
    def click() -> str:
        """Click."""
        made.append("click")
        return "clicked"

    run(called("look", {}, stream=False), [look, click])
    result, _ = run(called("click", {}, stream=False), [look, click])
    assert made == ["look"]
    assert "Did you mean 'mcp__browser__click'?" in result.tool_calls[0].response


def test_two_candidates_are_none() -> None:
    made = []

    def named(name: str) -> Tool[..., Any]:
        @tool(name=name)
        def act() -> str:
            """Do it."""
            made.append(name)
            return "done"

        return act

    tools = [named("get_weather"), named("get-weather")]
    for name in ("getWeather", "get.weather", "functions.GetWeather", "get weather"):
        result, _ = run(called(name, {}, stream=False), tools)
        assert "no tool named" in result.tool_calls[0].response
    assert made == []
    run(called("functions.get-weather", {}, stream=False), tools)
    assert made == ["get-weather"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_around_calls_becomes_those_calls(stream: bool) -> None:
    tools = Tools()
    uses = [
        {"recipient_name": "functions.search", "parameters": {"query": "a"}},
        {"recipient_name": "functions.send", "parameters": {"to": "bob"}},
    ]
    result, sent = run(called("multi_tool_use.parallel", {"tool_uses": uses}, "i" * 40, stream=stream), tools.all)
    assert tools.made == ["search a", "send bob"]
    assert [record.name for record in result.tool_calls] == ["search", "send"]
    ids = [each["id"] for each in sent[1]["tool_calls"]]
    assert len(set(ids)) == 2
    assert [each["tool_call_id"] for each in sent[2:]] == ids


@pytest.mark.parametrize(
    "arguments",
    [
        {"tool_uses": [{"recipient_name": "functions.send", "parameters": {"to": "a"}}, {"recipient_name": "pay"}]},
        {"tool_uses": [{"recipient_name": "functions.send", "params": {"to": "a"}}]},
        {"tool_uses": [{"recipient_name": "functions.send", "parameters": {"to": "a"}}, "send"]},
        {"tool_uses": {"recipient_name": "functions.send"}},
        {"tool_uses": []},
        '{"tool_uses": [{"recipient_name": "functions.send", "parameters": {"to": "a',
    ],
)
def test_a_call_around_calls_of_which_one_is_unclear_runs_none(arguments: Any) -> None:
    tools = Tools()
    result, _ = run(called("multi_tool_use.parallel", arguments, stream=False), tools.all)
    assert tools.made == []
    assert result.tool_calls[0].error


@pytest.mark.parametrize("call_id", ["i" * 60, "i" * 391, "with space", "ünï", 7, None, ""])
def test_an_id_that_servers_refuse_becomes_one_that_they_take(call_id: Any) -> None:
    tools = Tools()
    answer = called("send", {"to": "bob"}, "x", stream=False)
    answer = Answer(answer.body.replace(b'"id": "x"', b'"id": ' + json.dumps(call_id).encode()))
    _, sent = run(answer, tools.all)
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"]
    assert tools.made == ["send bob"]


@pytest.mark.parametrize("call_id", ["functions.send:0", "chatcmpl-tool-0123456789abcdef", "i" * 40])
def test_an_id_that_servers_take_is_given_back_as_it_came(call_id: str) -> None:
    _, sent = run(called("send", {}, call_id, stream=False), Tools().all)
    assert sent[1]["tool_calls"][0]["id"] == call_id


def test_what_is_sent_again_begins_with_the_bytes_that_were_sent_before() -> None:
    tools, asked = Tools(), []

    def answer(request: Asked) -> Answer:
        asked.append(request.raw.partition(b'"messages":')[2][:-2])
        at = len(asked)
        return called("functions.search", {"query": str(at)}, f"{at}" * 60, stream=False) if at < 4 else whole("Done.")

    with serve(answer) as server, Agent(f"openai:m@{server.url}", tools=tools.all, early_start=False) as agent:
        agent.run("Go.")
    assert all(later.startswith(earlier) for earlier, later in pairwise(asked))


def scripted(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "type": "function", "function": function}]}


def test_a_person_is_asked_about_the_tool_that_is_meant() -> None:
    made = []

    @tool(approve=True)
    def send(to: str) -> str:
        """Send it."""
        made.append(to)
        return "sent"

    agent = Agent(ScriptedBackend(scripted("functions.send", {"to": "bob"}), "Done."), tools=[send])
    waiting = agent.run("Go.")
    assert [call.name for call in waiting.pending] == ["send"]
    assert agent.resume(waiting.messages, approve={"a": True}).output == "Done."
    assert made == ["bob"]


def test_a_tool_that_ends_the_run_ends_it_by_any_of_its_names() -> None:
    @tool(ends_run=True)
    def submit(answer: str) -> str:
        """Submit it."""
        return answer

    assert (
        Agent(ScriptedBackend(scripted("default_api:submit", {"answer": "42"})), tools=[submit]).run("x").output == "42"
    )


@pytest.mark.parametrize("stream", [False, True])
def test_a_typed_answer_is_taken_by_any_of_its_names(stream: bool) -> None:
    @tool
    def look() -> str:
        """Look."""
        return "seen"

    first = called("functions.final_answer", {"value": "yes"}, stream=stream)
    with serve([first]) as server, Agent(f"openai:m@{server.url}", tools=[look]) as agent:
        ask = agent.stream if stream else agent.run
        done: Any = ask("Is it?", output=Literal["yes", "no"])
        values = [event.value for event in done if isinstance(event, OutputDelta)] if stream else ["yes"]
    assert (done.result if stream else done).output == "yes"
    assert values == ["yes"]


@pytest.mark.parametrize("name", ["search", "functions.search", "web.search"])
def test_a_tool_starts_once_and_under_its_name_while_the_reply_arrives(name: str) -> None:
    tools = Tools()
    chunks = called(name, {"query": "x"}, stream=True)
    with serve([chunks, streamed(delta(content="Done."), delta("stop"))]) as server:
        with Agent(f"openai:m@{server.url}", tools=tools.all) as agent, agent.stream("Go.") as events:
            started = [event.name for event in events if isinstance(event, ToolStarted)]
    assert started == ["search"]
    assert tools.made == ["search x"]


def test_replies_without_such_names_are_not_copied() -> None:
    replies: list[Any] = []

    def noted(backend: Any) -> Any:
        class Noted:
            def reply(self, request: Any) -> Any:
                for each in backend.reply(request):
                    replies.append(each)
                    yield each

            capabilities: Callable[..., Any] = backend.capabilities
            close: Callable[[], None] = backend.close

        return Noted()

    backend = ScriptedBackend(scripted("send", {"to": "bob"}), "Done.")
    result = Agent(backend, tools=Tools().all, middleware=[noted]).run("Go.")
    assert result.messages[1]["tool_calls"] is not None
    assert replies[0].message["tool_calls"] == result.messages[1]["tool_calls"]
