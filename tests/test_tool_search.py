"""Tool search: the model is sent two tools, by which it finds and calls all others (docs/tool_search.md)."""

import copy
import itertools
import json
import pickle
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import APIConnectionError

from agentkit import (
    Agent,
    ConfigurationError,
    Context,
    Hook,
    Limits,
    MemorySessions,
    Result,
    SQLiteSessions,
    Tool,
    tool,
)
from agentkit._text import json_bytes
from agentkit.backend import Backend, Capabilities, ReplyStream, Request
from agentkit.backends.chat_protocol import Accumulator, chat_completions_body
from agentkit.errors import ToolDefinitionError
from agentkit.event import Event, LoopDetected, OutputDelta, Reply, ToolFinished, ToolStarted
from agentkit.hooks import Proceed, ToolCallRequest
from agentkit.limits import Usage
from agentkit.middleware.base import Middleware
from agentkit.serving.chat_service import ChatService
from agentkit.serving.exchange import UserInput
from agentkit.serving.http.openai.client_tools import client_tools
from agentkit.testing import ScriptedBackend
from agentkit.tooling.outcome import Outcome
from agentkit.tooling.toolset import Toolset
from tests.support.model_server import serve, whole

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def weather(name: str = "get_weather", description: str = "The weather in a city.", **options: Any) -> Tool[..., Any]:
    return Tool(name, description, CITY, lambda city: f"{name}: {city}", **{"read_only": True, **options})


def noted(name: str, description: str, into: list[Any], **options: Any) -> Tool[..., Any]:
    """A tool with an effect that notes its arguments."""

    def note(city: str) -> str:
        into.append(city)
        return "done"

    return Tool(name, description, CITY, note, **options)


def many(count: int) -> list[Tool[..., Any]]:
    """Tools of about 170 bytes each, on different things."""
    return [weather(f"number_{place}", f"Tells about the thing {place}. {'Very long. ' * 4}") for place in range(count)]


def calling(name: str, /, **arguments: Any) -> tuple[str, dict[str, Any]]:
    return "call_tool", {"name": name, "arguments": arguments}


def sent(backend: ScriptedBackend, request: int = 0) -> list[str]:
    return [each["function"]["name"] for each in backend.requests[request].tools]


def answered(agent: Agent, is_streamed: bool, **options: Any) -> Result[Any]:
    """A run, whole or streamed."""
    if not is_streamed:
        return agent.run("Go on.", **options)
    with agent.stream("Go on.", **options) as run:
        for _ in run:
            pass
        assert run.result is not None
        return run.result


@pytest.fixture(params=["whole", "streamed"])
def is_streamed(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "streamed")


class Changing(Toolset):
    """A toolset whose list is set by the test, or raises."""

    def __init__(self, label: str, *tools: Tool[..., Any]) -> None:
        self.label = label
        self.list: Sequence[Tool[..., Any]] = tools
        self.error: Exception | None = None

    def tools(self) -> Sequence[Tool[..., Any]]:
        if self.error is not None:
            raise self.error
        return self.list


# What the model is sent


def test_above_16_kB_of_schemas_the_model_is_sent_two_tools() -> None:
    few, lots = many(50), many(150)
    assert len(json_bytes([each.schema for each in few])) < 16_000 < len(json_bytes([each.schema for each in lots]))
    backend = ScriptedBackend("ok", "ok", "ok", "ok")
    Agent(backend, tools=few).run("Go on.")
    Agent(backend, tools=lots).run("Go on.")
    Agent(backend, tools=lots, tool_search=False).run("Go on.")
    Agent(backend, tools=few, tool_search=True).run("Go on.")
    assert [len(each.tools) for each in backend.requests] == [50, 2, 150, 2]
    assert sent(backend, 1) == ["find_tools", "call_tool"]


def test_more_tools_than_openai_accepts_are_searched_however_small_they_are() -> None:
    small = [Tool(f"t{place}", "x", {"type": "object"}, lambda: "done") for place in range(129)]
    backend = ScriptedBackend("ok", "ok")
    Agent(backend, tools=small[1:]).run("Go on.")
    Agent(backend, tools=small).run("Go on.")
    assert [len(each.tools) for each in backend.requests] == [128, 2]


def test_the_two_tools_have_less_than_900_bytes_however_many_there_are() -> None:
    backend = ScriptedBackend("ok", "ok")
    Agent(backend, tools=many(3), tool_search=True).run("Go on.")
    Agent(backend, tools=many(400)).run("Go on.")
    first, second = (json_bytes(each.tools) for each in backend.requests)
    assert first == second
    assert len(first) <= 900


def test_what_stands_in_always_is_sent_as_it_is() -> None:
    @tool
    def plain() -> str:
        """Plain."""
        return "plain"

    def function() -> str:
        """Function."""
        return "function"

    backend = ScriptedBackend("ok", "ok")
    tools: list[Any] = [*many(3), plain, function]
    agent = Agent(backend, tools=tools, tool_search=True, always=["number_1", plain, function])
    agent.run("Go on.")
    assert sent(backend) == ["find_tools", "call_tool", "number_1", "plain", "function"]
    agent.run("Go on.", tools=[plain])  # of other tools, those that there are
    assert sent(backend, 1) == ["find_tools", "call_tool", "plain"]


def test_an_unknown_name_in_always_is_an_error_unless_a_toolset_may_bring_it() -> None:
    with pytest.raises(ConfigurationError, match="always='wether': no tool of this agent has that name"):
        Agent(ScriptedBackend(), tools=[weather()], always=["wether"])
    for wrong in ("weather", 3, [3]):
        with pytest.raises(ConfigurationError, match="always"):
            Agent(ScriptedBackend(), tools=[weather()], always=wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="tool_search"):
        Agent(ScriptedBackend(), tool_search="yes")  # type: ignore[arg-type]
    toolset = Changing("sky")
    backend = ScriptedBackend("ok", "ok")
    agent = Agent(backend, tools=[toolset], always=["get_weather"], tool_search=True)
    agent.run("Go on.")
    toolset.list = [weather()]
    agent.run("Go on.")
    assert sent(backend, 0) == ["find_tools", "call_tool"]
    assert sent(backend, 1) == ["find_tools", "call_tool", "get_weather"]


def test_tools_of_a_run_are_searched_too() -> None:
    backend = ScriptedBackend(calling("number_120", city="Oslo"), "ok", "ok")
    result = Agent(backend).run("Go on.", tools=many(150))
    assert sent(backend) == ["find_tools", "call_tool"]
    assert result.tool_calls[0].response == "number_120: Oslo"
    Agent(backend, tool_search=True).run("Go on.", tools=[])
    assert backend.requests[2].tools == []


def test_tools_of_a_client_and_those_that_end_the_run_are_sent_in_any_case() -> None:
    entry = {"type": "function", "function": {"name": "of_client", "parameters": CITY}}
    ending = weather("finish", ends_run=True)
    backend = ScriptedBackend("ok", "ok")
    tools = [*many(150), ending, *client_tools([entry], ())]
    Agent(backend).run("Go on.", tools=tools)
    assert sent(backend) == ["find_tools", "call_tool", "finish", "of_client"]
    entries = [{"type": "function", "function": each.schema["function"]} for each in many(150)]
    Agent(backend).run("Go on.", tools=client_tools(entries, ()))  # they count for nothing that could be hidden
    assert len(sent(backend, 1)) == 150


def test_a_call_of_a_clients_tool_goes_to_the_client() -> None:
    entry = {"type": "function", "function": {"name": "of_client", "parameters": CITY}}
    for call in (("of_client", {"city": "Oslo"}), calling("of_client", city="Oslo")):
        backend = ScriptedBackend([call, calling("number_1", city="Rome")])
        result = Agent(backend).run("Go on.", tools=[*many(150), *client_tools([entry], ())])
        assert result.stopped == "approval"
        assert [(each.name, each.arguments) for each in result.pending] == [("of_client", {"city": "Oslo"})]
        assert [each.name for each in result.tool_calls] == ["number_1"]


def test_a_forced_tool_is_sent_in_the_whole_run() -> None:
    backend = ScriptedBackend(("number_7", {"city": "Oslo"}), "ok", "ok")
    agent = Agent(backend, tools=many(150))
    agent.run("Go on.", sampling={"tool_choice": {"type": "function", "function": {"name": "number_7"}}})
    assert sent(backend, 0) == sent(backend, 1) == ["find_tools", "call_tool", "number_7"]
    allowed = {"mode": "auto", "tools": [{"type": "function", "name": name} for name in ("number_1", "number_2")]}
    agent.run("Go on.", sampling={"tool_choice": {"type": "allowed_tools", "allowed_tools": allowed}})
    assert sent(backend, 2) == ["find_tools", "call_tool", "number_1", "number_2"]


def test_a_tool_must_not_have_the_name_of_one_of_the_two() -> None:
    with pytest.raises(ToolDefinitionError, match="tool_search=False"):
        Agent(ScriptedBackend(), tools=[weather("call_tool")], tool_search=True)
    gateway = Changing("gateway", weather("call_tool"))
    backend = ScriptedBackend(calling("gateway_call_tool", city="Oslo"), "ok")
    result = Agent(backend, tools=[gateway], tool_search=True).run("Go on.")
    assert result.tool_calls[0].name == "gateway_call_tool"
    assert result.tool_calls[0].error is None


def test_a_program_that_has_such_a_name_already_runs_as_before(caplog: pytest.LogCaptureFixture) -> None:
    backend = ScriptedBackend(("call_tool", {"city": "Oslo"}), "ok")
    result = Agent(backend, tools=[weather("call_tool"), *many(150)]).run("Go on.")
    assert result.tool_calls[0].response == "call_tool: Oslo"
    assert len(sent(backend)) == 151
    assert "give it another name=" in caplog.text.lower()


def test_the_tools_of_a_service_are_searched_while_they_change() -> None:
    toolset = Changing("sky", weather("call_tool"), *many(150))

    def change(messages: object) -> Any:
        toolset.list = [weather("new")]
        return calling("new", city="Oslo")

    backend = ScriptedBackend(calling("sky_call_tool", city="Rome"), change, "ok")
    service = ChatService(backend, MemorySessions())
    answer = service.answer(UserInput(text="Go on.", session="one", tools=(toolset,)))
    assert [each.response for each in answer.result.tool_calls] == ["call_tool: Rome", "new: Oslo"]


def test_copies_and_pickles_of_an_agent_search_too() -> None:
    agent = Agent("extractive", tools=[look], tool_search=True, always=[look])
    for made in (copy.copy(agent), copy.deepcopy(agent), pickle.loads(pickle.dumps(agent))):
        assert made._search.mode is True
        assert made._search.always == ("look",)


@tool(read_only=True)
def look(place: str) -> str:
    """Look at a place."""
    return place


# Calls

FORMS: dict[str, Any] = {
    "object": calling("get_weather", city="Oslo"),
    "text": ("call_tool", {"name": "get_weather", "arguments": '{"city": "Oslo"}'}),
    "broken text": ("call_tool", {"name": "get_weather", "arguments": "{'city': 'Oslo',}"}),
    "beside": ("call_tool", {"name": "get_weather", "city": "Oslo"}),
    "beside an empty object": ("call_tool", {"name": "get_weather", "arguments": {}, "city": "Oslo"}),
    "other keys": ("call_tool", {"tool_name": "get_weather", "parameters": {"city": "Oslo"}}),
    "a call inside": calling("get_weather", name="get_weather", arguments={"city": "Oslo"}),
    "a text with a call": (
        "call_tool",
        {"name": "get_weather", "arguments": '{"name": "get_weather", "arguments": {"city": "Oslo"}}'},
    ),
    "as the API has it": ("call_tool", {"function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}),
    "twice": calling("call_tool", name="get_weather", arguments={"city": "Oslo"}),
    "a prefix inside": calling("functions.get_weather", city="Oslo"),
    "a prefix outside": ("functions.call_tool", {"name": "get_weather", "arguments": {"city": "Oslo"}}),
    "its own name": ("get_weather", {"city": "Oslo"}),
    "its own name with a prefix": ("functions.get_weather", {"city": "Oslo"}),
    "several at once": (
        "multi_tool_use.parallel",
        {
            "tool_uses": [
                {"recipient_name": "functions.call_tool", "parameters": calling("get_weather", city="Oslo")[1]}
            ]
        },
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_a_call_is_that_of_the_tool_itself(form: Any, is_streamed: bool) -> None:
    backend = ScriptedBackend(form, "ok")
    result = answered(Agent(backend, tools=[weather(), *many(2)], tool_search=True), is_streamed)
    (record,) = result.tool_calls
    assert (record.name, record.arguments, record.response) == ("get_weather", {"city": "Oslo"}, "get_weather: Oslo")
    (call,) = result.messages[1]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Oslo"}
    assert backend.requests[1].messages[1] == result.messages[1]


def test_arguments_named_like_the_keys_of_a_call_reach_their_tool() -> None:
    def run(input: str, parameters: str = "") -> str:
        """Run something."""
        return f"{input}|{parameters}"

    backend = ScriptedBackend(
        [calling("run", input="a", parameters="b"), ("call_tool", {"name": "run", "input": "a", "parameters": "b"})],
        "ok",
    )
    result = Agent(backend, tools=[run], tool_search=True).run("Go on.")
    assert [each.response for each in result.tool_calls] == ["a|b", "a|b"]

    def start(command: str, arguments: Any = None) -> str:
        """Start a program."""
        return f"{command}|{json.dumps(arguments)}"

    beside = ("call_tool", {"name": "start", "command": "ls", "arguments": ["-l"]})
    named = ("call_tool", {"name": "start", "command": "ls", "arguments": {"all": True}})
    both = calling("start", command="ls", arguments=["-l"])
    backend = ScriptedBackend([calling("start", command="ls"), beside, named, both], "ok")
    result = Agent(backend, tools=[start], tool_search=True).run("Go on.")
    assert [each.response for each in result.tool_calls] == ["ls|null", 'ls|["-l"]', 'ls|{"all": true}', 'ls|["-l"]']


def test_an_unknown_name_is_answered_with_the_five_nearest_tools() -> None:
    for call in (calling("numbr_7", city="Oslo"), ("numbr_7", {"city": "Oslo"})):
        backend = ScriptedBackend(call, "ok")
        result = Agent(backend, tools=[*many(150), weather()]).run("Go on.")
        error = result.tool_calls[0].error or ""
        assert result.tool_calls[0].name == "numbr_7"
        assert "there is no tool named 'numbr_7'" in error
        assert "number_7: Tells about the thing 7." in error
        assert json.dumps(CITY, separators=(",", ":")) in error
    backend = ScriptedBackend(calling("weather_of_city", city="Oslo"), "ok")
    error = Agent(backend, tools=[*many(150), weather()]).run("Go on.").tool_calls[0].error or ""
    assert "get_weather: The weather in a city." in error
    assert error.count("parameters: ") <= 5


@pytest.mark.parametrize("written", [{}, {"query": "weather of a city"}, {"name": ["weather"]}, {"arguments": {}}])
def test_a_call_without_a_name_is_answered_with_what_it_may_mean(written: Mapping[str, Any]) -> None:
    backend = ScriptedBackend(("call_tool", written), "ok")
    (record,) = Agent(backend, tools=[weather()], tool_search=True).run("Go on.").tool_calls
    assert record.name == "call_tool"
    assert "no name could be read" in (record.error or "")
    assert ("get_weather: The weather" in (record.error or "")) == ("weather" in str(written))


def test_wrong_arguments_of_a_tool_that_the_model_was_not_sent_are_answered_with_its_schema() -> None:
    backend = ScriptedBackend(calling("get_weather", town="Oslo"), ("known", {"town": "Oslo"}), "ok")
    agent = Agent(backend, tools=[weather(), weather("known")], tool_search=True, always=["known"])
    hidden, known = agent.run("Go on.").tool_calls
    schema = json.dumps(CITY, separators=(",", ":"))
    assert (hidden.error or "").endswith(f"\nThe parameters of get_weather: {schema}")
    assert schema not in (known.error or "")


def test_a_tool_that_needs_approval_needs_it_however_it_is_called(tmp_path: Path, is_streamed: bool) -> None:
    paid: list[Any] = []
    agent = Agent(
        ScriptedBackend(calling("pay", city="Oslo"), "Paid.", calling("pay", city="Bergen"), "Paid.", "No."),
        tools=[noted("pay", "Pay a bill.", paid, approve=True), *many(3)],
        tool_search=True,
    )
    session = SQLiteSessions(tmp_path / "sessions.db")["one"]
    first = answered(agent, is_streamed, session=session)
    assert first.stopped == "approval"
    assert [(each.name, each.arguments) for each in first.pending] == [("pay", {"city": "Oslo"})]
    assert paid == []
    result = agent.resume(session, approve={first.pending[0].id: True})
    assert paid == ["Oslo"]
    assert [each.name for each in result.tool_calls] == ["pay"]
    second = answered(agent, is_streamed, session=session)
    agent.resume(session, approve={second.pending[0].id: {"city": "Rome"}})
    assert paid == ["Oslo", "Rome"]


def test_a_session_has_the_names_of_the_tools_and_goes_on_without_search(tmp_path: Path) -> None:
    backend = ScriptedBackend(("find_tools", {"query": "weather"}), calling("get_weather", city="Oslo"), "ok", "fine")
    path = tmp_path / "sessions.db"
    Agent(backend, tools=[weather()], tool_search=True).run("Go on.", session=SQLiteSessions(path)["one"])
    session = SQLiteSessions(path)["one"]
    calls = [call["function"]["name"] for each in session.messages for call in each.get("tool_calls") or ()]
    assert calls == ["find_tools", "get_weather"]
    result = Agent(backend, tools=[weather()], tool_search=False).run("And now?", session=session)
    assert result.output == "fine"
    assert result.repairs == []


class Seeing(Hook):
    def __init__(self) -> None:
        self.calls: list[tuple[str, Mapping[str, Any], bool]] = []

    def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome | str:
        self.calls.append((call.name, dict(call.arguments), call.read_only))
        if call.name == "get_weather":
            return proceed(call.replace(arguments={"city": "Rome"}))
        return proceed(call)


def test_hooks_see_the_tools_themselves_and_the_search(is_streamed: bool) -> None:
    hook = Seeing()
    backend = ScriptedBackend(("find_tools", {"query": "weather"}), calling("get_weather", city="Oslo"), "ok")
    result = answered(Agent(backend, tools=[weather()], tool_search=True, hooks=[hook]), is_streamed)
    assert hook.calls[0][0] == "find_tools"
    assert hook.calls[1:] == [("get_weather", {"city": "Oslo"}, True)]
    assert result.tool_calls[1].response == "get_weather: Rome"


def test_read_only_tools_that_were_found_run_in_parallel() -> None:
    both = threading.Barrier(2)

    def meet(city: str) -> str:
        both.wait(timeout=30)
        return city

    tools = [Tool(f"meet_{place}", "Meet.", CITY, meet, read_only=True) for place in (1, 2)]
    backend = ScriptedBackend([calling("meet_1", city="Oslo"), calling("meet_2", city="Rome")], "ok")
    result = Agent(backend, tools=tools, tool_search=True).run("Go on.")
    assert [each.response for each in result.tool_calls] == ["Oslo", "Rome"]


def test_events_limits_and_loops_know_the_tools_themselves() -> None:
    backend = ScriptedBackend(*[calling("get_weather", city="Oslo")] * 6, "ok")
    agent = Agent(backend, tools=[weather(read_only=False), *many(2)], tool_search=True)
    with agent.stream("Go on.") as run:
        events: list[Event] = list(run)
    assert {each.name for each in events if isinstance(each, ToolStarted)} == {"get_weather"}
    assert {each.record.name for each in events if isinstance(each, ToolFinished)} == {"get_weather"}
    assert any(isinstance(each, LoopDetected) for each in events)
    assert run.result is not None
    assert run.result.stopped == "loop"
    limited = ScriptedBackend([calling("get_weather", city="Oslo"), calling("number_1", city="Oslo")], "ok")
    result = Agent(limited, tools=[weather(), *many(2)], tool_search=True).run("Go on.", limits=Limits(tool_calls=1))
    assert [each.name for each in result.tool_calls] == ["get_weather", "number_1"]
    assert "the limit on tool calls is reached" in result.tool_calls[1].response


class Streaming:
    """A backend that streams the calls of its one reply, and waits before it ends the reply."""

    def __init__(self, calls: Sequence[tuple[str, Mapping[str, Any]]], wait: Callable[[], object]) -> None:
        self._calls, self._wait = calls, wait

    def reply(self, request: Request) -> ReplyStream:
        if request.transcript[-1]["role"] == "tool":
            yield Reply({"role": "assistant", "content": "ok"}, "stop", Usage(requests=1))
            return
        made = Accumulator("call", request.begin, request.call_deltas)
        for chunk in self._chunks():
            yield from made.feed({"choices": [{"delta": {"tool_calls": [chunk]}}]})
        self._wait()
        yield from made.feed({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
        yield made.reply()

    def _chunks(self) -> Iterator[dict[str, Any]]:
        for index, (name, arguments) in enumerate(self._calls):
            yield {"index": index, "id": f"id_{index}", "function": {"name": name, "arguments": ""}}
            text = json.dumps(arguments)
            for place in range(0, len(text), 5):
                yield {"index": index, "function": {"arguments": text[place : place + 5]}}

    def capabilities(self, ask: bool = False) -> Capabilities:
        return Capabilities()

    def close(self) -> None:
        return


def test_a_read_only_tool_starts_while_the_reply_arrives(is_streamed: bool) -> None:
    started = threading.Event()
    count: list[str] = []

    def begin(city: str) -> str:
        count.append(city)
        started.set()
        return city

    tools = [Tool("begin", "Begin.", CITY, begin, read_only=True), *many(2)]
    calls = [calling("number_1", city="Rome"), calling("begin", city="Oslo")]
    backend = Streaming(calls, lambda: started.wait(30) or pytest.fail("it was not started early"))
    result = answered(Agent(backend, tools=tools, tool_search=True), is_streamed)
    assert [each.response for each in result.tool_calls] == ["number_1: Rome", "Oslo"]
    assert count == ["Oslo"]  # and is not run again


class Breaking(Streaming):
    """One whose first stream breaks off behind its first call; what that was, is another one in the second."""

    def __init__(self, first: Any, calls: Sequence[Any], wait: Callable[[], object]) -> None:
        super().__init__([first], wait)
        self._next: Sequence[Any] = calls

    def reply(self, request: Request) -> ReplyStream:
        yield from super().reply(request)

    def _chunks(self) -> Iterator[dict[str, Any]]:
        chunks = list(super()._chunks())
        if self._next:
            yield from chunks
            self._calls, self._next = self._next, ()
            raise APIConnectionError(request=httpx2.Request("POST", "http://model.invalid"))
        first, *others = (list(each) for _, each in itertools.groupby(chunks, lambda chunk: chunk["index"]))
        yield first[0]  # the arguments of the first call arrive last
        for each in (*others, first[1:]):
            yield from each


def test_what_a_broken_stream_began_says_nothing_of_the_next_one() -> None:
    order: list[str] = []
    reading = noted("read", "Read.", order, read_only=True)
    calls = [calling("write", city="Oslo"), calling("read", city="Rome")]
    backend = Breaking(calling("read", city="Bern"), calls, lambda: order.append("the reply ends"))
    result = Agent(backend, tools=[noted("write", "Write.", order), reading], tool_search=True).run("Go on.")
    assert [each.name for each in result.tool_calls] == ["write", "read"]
    assert [each for each in order if each != "Bern"] == ["the reply ends", "Oslo", "Rome"]


def test_nothing_starts_early_behind_a_tool_with_an_effect() -> None:
    order: list[str] = []
    reading = noted("read", "Read.", order, read_only=True)
    backend = Streaming(
        [calling("write", city="Oslo"), calling("read", city="Oslo"), ("call_tool", {}), calling("read", city="Rome")],
        lambda: order.append("the reply ends"),
    )
    Agent(backend, tools=[noted("write", "Write.", order), reading], tool_search=True).run("Go on.")
    assert order[:2] == ["the reply ends", "Oslo"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_typed_answer_arrives_in_either_way(wrapped: bool) -> None:
    answer = ("final_answer", {"value": 42})
    call = ("call_tool", {"name": answer[0], "arguments": answer[1]}) if wrapped else answer
    agent = Agent(Streaming([call], lambda: None), tools=many(2), tool_search=True)
    with agent.stream("Go on.", output=int) as run:
        values = [each.value for each in run if isinstance(each, OutputDelta)]
        assert run.result is not None
        assert run.result.output == 42
    assert values[-1] == 42
    assert agent.run("Go on.", output=int).output == 42


def test_an_agent_that_was_found_runs_inside() -> None:
    inner = Agent(ScriptedBackend(calling("number_3", city="Oslo"), "Found it."), tools=many(150))
    expert = inner.as_tool("ask_expert", "Ask an expert on things.")
    backend = ScriptedBackend(("find_tools", {"query": "expert"}), calling("ask_expert", task="Thing 3?"), "ok")
    result = Agent(backend, tools=[expert, *many(3)], tool_search=True).run("Go on.")
    assert result.tool_calls[1].response == "Found it."


def test_a_run_is_cancelled_in_a_tool_that_was_found() -> None:
    cancel = threading.Event()

    def stop(city: str) -> str:
        cancel.set()
        return city

    backend = ScriptedBackend(calling("stop", city="Oslo"), "never")
    agent = Agent(backend, tools=[Tool("stop", "Stop.", CITY, stop)], tool_search=True)
    assert agent.run("Go on.", cancel=cancel).stopped == "cancelled"
    assert len(backend.requests) == 1


def test_a_tool_that_was_found_may_ask_a_person() -> None:
    seats = {"type": "object", "properties": {"seat": {"enum": ["aisle", "window"]}}, "required": ["seat"]}

    @tool
    def book(city: str, ctx: Context) -> str:
        """Book a trip."""
        return f"{city}: {ctx.ask('Which seat?', seats)['seat']}"

    agent = Agent(ScriptedBackend(calling("book", city="Oslo"), "ok"), tools=[book], tool_search=True)
    first = agent.run("Go on.")
    assert [(each.name, each.arguments) for each in first.pending] == [("book", {"city": "Oslo"})]
    result = agent.resume(first.messages, approve={first.pending[0].id: {"seat": "aisle"}})
    assert result.tool_calls[0].response == "Oslo: aisle"


# The search


def found(backend: ScriptedBackend) -> str:
    """What the search has returned last."""
    return str(backend.requests[-1].messages[-1]["content"])


def test_the_search_shows_names_descriptions_and_schemas() -> None:
    backend = ScriptedBackend(("find_tools", {"query": "How is the weather in Oslo?"}), "ok")
    Agent(backend, tools=[*many(150), weather()]).run("Go on.")
    text = found(backend)
    assert "of 151 tools" in text
    assert 'get_weather: The weather in a city.\nparameters: {"type":"object"' in text


def test_the_name_of_a_tool_finds_it_first() -> None:
    tools = [weather(f"get_entity_{place}", "Get the entity, entity, entity") for place in range(30)]
    backend = ScriptedBackend(
        ("find_tools", {"query": "get entity for addPerson"}), ("find_tools", {"query": "add person"}), "ok"
    )
    result = Agent(backend, tools=[*tools, weather("addPerson", "x")], tool_search=True).run("Go on.")
    for record in result.tool_calls:
        assert record.response.split("\n\n")[1].startswith("addPerson: ")


def test_no_more_than_what_was_asked_for_is_shown() -> None:
    for count, expected in ((2, 2), (1000, 20), (0, 1), (-3, 1)):
        backend = ScriptedBackend(("find_tools", {"query": "thing", "max_results": count}), "ok")
        Agent(backend, tools=many(100), tool_search=True).run("Go on.")
        assert found(backend).count("\nparameters: ") == expected


def test_a_result_is_bounded_however_large_the_schemas_are() -> None:
    properties = {f"field_{place}": {"type": "string", "description": "long " * 500} for place in range(60)}
    schema = {"type": "object", "properties": properties, "required": ["field_1"]}
    huge: Tool[..., Any] = Tool("huge", "huge " * 180, schema, lambda **values: "done")
    tools = [copy.copy(huge) for _ in range(20)]
    for place, each in enumerate(tools):
        each.name = f"huge_{place}"
    for count in (1, 5, 20):
        backend = ScriptedBackend(("find_tools", {"query": "huge", "max_results": count}), "ok")
        Agent(backend, tools=tools, tool_search=True).run("Go on.")
        text = found(backend)
        assert len(text) < 20_000
        assert text.count("huge_") >= count
        assert '"required":["field_1"]' in text or count > 5


def test_where_nothing_matches_the_model_is_told_what_there_is() -> None:
    toolset = Changing("sky", weather(), weather("forecast", "What comes."))
    backend = ScriptedBackend(("find_tools", {"query": "zzz"}), ("find_tools", {"query": ""}), "ok")
    result = Agent(backend, tools=[toolset, *many(2)], tool_search=True).run("Go on.")
    assert "No tool matches 'zzz'. There are 4 tools, of sky (2)" in result.tool_calls[0].response
    assert "No tool matches ''" in result.tool_calls[1].response


def test_tools_are_found_by_the_label_of_their_toolset() -> None:
    first, second = weather("search", "Search for things."), weather("list", "List things.")
    backend = ScriptedBackend(("find_tools", {"query": "confluence", "max_results": 1}), "ok")
    tools: list[Any] = [
        Changing("jira", weather("create", "Create things.")),
        Changing("confluence", first, second),
        *many(9),
    ]
    Agent(backend, tools=tools, tool_search=True).run("Go on.")
    assert "search: Search" in found(backend)


# Tools that change during a run


def test_a_tool_that_a_run_adds_is_found_and_called() -> None:
    @tool
    def unlock(ctx: Context) -> str:
        """Unlock more."""
        ctx.tools.add(weather("secret_weather", "Weather on the moon."))
        return ", ".join(ctx.tools.names)

    backend = ScriptedBackend(
        calling("unlock"), ("find_tools", {"query": "moon"}), calling("secret_weather", city="Crater"), "ok", "ok"
    )
    agent = Agent(backend, tools=[unlock, weather()], tool_search=True)
    result = agent.run("Go on.")
    assert result.tool_calls[0].response == "find_tools, call_tool, unlock, get_weather, secret_weather"
    assert "secret_weather: Weather on the moon." in result.tool_calls[1].response
    assert result.tool_calls[2].response == "secret_weather: Crater"
    assert {each.body[:0] + json_bytes(each.tools) for each in backend.requests} == {
        json_bytes(backend.requests[0].tools)
    }


def test_a_tool_that_a_run_removes_is_gone_though_its_schema_stays_in_the_requests() -> None:
    @tool
    def lock(ctx: Context) -> str:
        """Lock."""
        ctx.tools.remove("get_weather", "known")
        return "locked"

    gone = [("find_tools", {"query": "weather"}), calling("get_weather", city="Oslo"), ("known", {"city": "Oslo"})]
    backend = ScriptedBackend(calling("lock"), gone, "ok")
    tools: list[Any] = [lock, weather(), weather("known")]
    result = Agent(backend, tools=tools, tool_search=True, always=["known"]).run("Go on.")
    assert "No tool matches" in result.tool_calls[1].response
    assert all("there is no tool named" in (each.error or "") for each in result.tool_calls[2:])
    assert sent(backend, 1) == ["find_tools", "call_tool", "known"]


def test_what_cannot_be_added_is_said() -> None:
    problems = []

    @tool
    def attempt(ctx: Context) -> str:
        """Try it."""
        for name in ("get_weather", "find_tools", "attempt"):
            try:
                ctx.tools.add(weather(name))
            except ToolDefinitionError as error:
                problems.append(str(error))
        return "done"

    Agent(ScriptedBackend(calling("attempt"), "ok"), tools=[attempt, weather()], tool_search=True).run("Go on.")
    assert problems == [
        f"two tools are named {name!r}: give one another name=" for name in ("get_weather", "find_tools", "attempt")
    ]


def test_a_list_that_changes_in_a_run_is_found_as_it_is_now() -> None:
    toolset = Changing("sky", weather(), weather("old", "Something old."))
    changed = Tool(
        "get_weather", "The weather.", {"type": "object", "properties": {"zip": {}}}, lambda zip: f"at {zip}"
    )

    def change(messages: object) -> Any:
        toolset.list = [changed, weather("new", "Something new.")]
        return [("find_tools", {"query": "weather zip"}), calling("new", city="Oslo"), calling("old", city="Oslo")]

    backend = ScriptedBackend(("find_tools", {"query": "new"}), change, calling("get_weather", zip="0150"), "ok")
    result = Agent(backend, tools=[toolset], tool_search=True, always=["get_weather"]).run("Go on.")
    first, shown, new, old, called = result.tool_calls
    assert "No tool matches" in first.response
    assert '"zip"' in shown.response
    assert new.response == "new: Oslo"
    assert "there is no tool named 'old'" in (old.error or "")
    assert called.response == "at 0150"
    assert all(each.tools == backend.requests[0].tools for each in backend.requests)


def test_a_toolset_that_fails_in_a_run_keeps_the_tools_that_it_had() -> None:
    toolset = Changing("sky", weather())

    def fail(messages: object) -> Any:
        toolset.error = OSError("gone")
        return calling("get_weather", city="Oslo")

    backend = ScriptedBackend(("find_tools", {"query": "weather"}), fail, "ok")
    result = Agent(backend, tools=[toolset], tool_search=True).run("Go on.")
    assert result.tool_calls[1].response == "get_weather: Oslo"


def test_the_rest_of_a_long_result_is_read_without_another_tool_in_the_requests() -> None:
    long = Tool("long", "Long.", {"type": "object", "properties": {}}, lambda: "x" * 900 + "the end", max_result=900)
    backend = ScriptedBackend(calling("long"), calling("earlier_result", number=2, start=900), "ok")
    result = Agent(backend, tools=[long], tool_search=True).run("Go on.")
    assert result.tool_calls[1].response == "the end"
    assert sent(backend, 2) == ["find_tools", "call_tool"]


# The bytes of the requests


class Written(Middleware):
    """Keeps each request as it would be sent."""

    def __init__(self, backend: Backend, bodies: list[bytes]) -> None:
        super().__init__(backend)
        self._bodies = bodies

    def reply(self, request: Request) -> ReplyStream:
        self._bodies.append(chat_completions_body({"model": "m"}, request))
        return self.backend.reply(request)


class World:
    """An agent whose tools change as a random script says."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.toolset = Changing("sky", *MANY[:10])
        self.bodies: list[bytes] = []
        self.count = self.left = 0
        failing = Tool("fail", "Fail.", {"type": "object", "properties": {}}, self._fail)
        grow = Tool("grow", "Add tools.", {"type": "object", "properties": {}}, self._grow, context="ctx")
        shrink = Tool("shrink", "Remove tools.", {"type": "object", "properties": {}}, self._shrink, context="ctx")
        long = Tool("long", "Long.", {"type": "object", "properties": {}}, lambda: "x" * 500, max_result=100)
        asks = weather("asks", "Needs approval.", approve=True)
        self.agent = Agent(
            ScriptedBackend(*[self.step] * 200),
            tools=[self.toolset, failing, grow, shrink, long, asks, weather()],
            tool_search=True,
            always=["get_weather"],
            middleware=[lambda backend: Written(backend, self.bodies)],
        )
        self.session = MemorySessions()["one"]

    def _fail(self) -> str:
        raise ValueError("it failed")

    def _grow(self, ctx: Context) -> str:
        self.count += 1
        ctx.tools.add(weather(f"added_{self.count}"))
        return "grown"

    def _shrink(self, ctx: Context) -> str:
        ctx.tools.remove(self.random.choice([name for name in ctx.tools.names if name.startswith("number")]))
        return "shrunk"

    def step(self, messages: object) -> Any:
        """What the model does next."""
        if self.random.random() < 0.3:
            self.toolset.list = MANY[: self.random.randint(1, 20)]
        calls = [
            ("find_tools", {"query": self.random.choice(["thing 3", "weather", "zzz", ""])}),
            calling("get_weather", city="Oslo"),
            ("get_weather", {"town": "Oslo"}),
            calling("number_3", town="Oslo"),
            ("number_2", {"city": "Oslo"}),
            calling("nothing", x=1),
            ("call_tool", {"x": 1}),
            *(calling(name) for name in ("fail", "grow", "shrink", "long")),
            calling("earlier_result", number=2),
            calling("asks", city="Oslo"),
        ]
        self.left -= 1  # no limit ends the run, whose last request would have no tools
        return self.random.sample(calls, self.random.randint(1, 3)) if self.left > 0 else "Done."

    def run(self) -> None:
        """One question, with whatever approvals it needs."""
        is_streamed, self.left = self.random.random() < 0.5, self.random.randint(1, 7)
        result = answered(self.agent, is_streamed, session=self.session)
        while result.stopped == "approval":
            decisions = {each.id: self.random.choice([True, False]) for each in result.pending}
            result = self.agent.resume(self.session, approve=decisions)


MANY = many(20)


def without_end(body: bytes) -> bytes:
    return body.removesuffix(b"]}").replace(b'"stream":false', b'"stream":true')


@pytest.mark.parametrize("seed", range(100))
def test_each_request_of_a_run_begins_with_the_bytes_of_the_one_before(seed: int) -> None:
    world = World(seed)
    world.run()
    world.run()
    bodies = [without_end(each) for each in world.bodies]
    assert len(bodies) > 1
    for before, after in itertools.pairwise(bodies):
        assert after.startswith(before)


# Calls that are text


def test_tools_that_travel_as_text_are_searched_too(is_streamed: bool) -> None:
    calls = [
        '{"tool": "find_tools", "arguments": {"query": "weather"}}',
        '{"tool": "call_tool", "arguments": {"name": "get_weather", "arguments": {"city": "Oslo"}}}',
        '{"tool": "get_weather", "arguments": {"city": "Rome"}}',
    ]
    backend = ScriptedBackend(*calls, '{"answer": "ok"}')
    agent = Agent(backend, tools=[weather(), *many(150)], tools_as="text")
    result = answered(agent, is_streamed)
    assert [each.name for each in result.tool_calls] == ["find_tools", "get_weather", "get_weather"]
    assert [each.response for each in result.tool_calls[1:]] == ["get_weather: Oslo", "get_weather: Rome"]
    assert result.output == "ok"
    assert "number_3" not in str(backend.requests[0].messages)


@pytest.mark.parametrize("is_own_name", [False, True])
def test_a_call_that_a_server_left_in_the_text_is_that_of_the_tool(is_own_name: bool) -> None:
    name, arguments = ("get_weather", {"city": "Oslo"}) if is_own_name else calling("get_weather", city="Oslo")
    text = f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"
    with serve([whole(text), whole("ok")]) as server:
        agent = Agent(f"openai:qwen3@{server.url}", tools=[weather(), *many(150)])
        result = agent.run("Go on.")
        agent.close()
    assert [(each.name, each.response) for each in result.tool_calls] == [("get_weather", "get_weather: Oslo")]
