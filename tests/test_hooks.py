"""Hooks: the same calls with the same values streamed and whole; what a hook guards stops when it fails."""

import collections
import copy
import itertools
import json
import pickle
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from agentkit import (
    Agent,
    ConfigurationError,
    Context,
    Hook,
    Limits,
    MemorySessions,
    Result,
    Tool,
    ToolError,
    Window,
    tool,
)
from agentkit.backend import Request
from agentkit.backends.openai import OpenAIBackend
from agentkit.errors import HookError
from agentkit.event import Event, ReplyDiscarded, ReplyFinished, RunFinished, TextDelta, ToolStarted
from agentkit.hooks import Cache, Proceed, Redact, Refused, Reply, Streamed, ToolCallRequest
from agentkit.limits import Usage
from agentkit.message import Message
from agentkit.testing import ScriptedBackend
from agentkit.tooling.outcome import Outcome
from tests.support.growth import assert_linear
from tests.support.model_server import delta, serve, streamed, whole

ROOT = Path(__file__).parents[1]
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def ask(agent: Agent, prompt: str = "Go on.", stream: bool = False, **options: Any) -> tuple[Result[Any], list[Event]]:
    """The result of a run and its events; none of a run that is not streamed."""
    if not stream:
        return agent.run(prompt, **options), []
    with agent.stream(prompt, **options) as run:
        events = list(run)
    assert run.result is not None
    return run.result, events


def shown(events: list[Event]) -> str:
    """The text that a reader has at the end."""
    parts: list[str] = []
    for event in events:
        if isinstance(event, TextDelta):
            parts.append(event.text)
        elif isinstance(event, ReplyDiscarded):
            parts.clear()
    return "".join(parts)


class Recording(Hook):
    """Records each call of its methods with the values."""

    def __init__(self, name: str = "", log: list[Any] | None = None) -> None:
        self.name = name
        self.log: list[Any] = [] if log is None else log

    def outgoing(self, message: Message) -> None:
        self.log.append((self.name, "outgoing", json.dumps(message)))

    def before_model(self, request: Request) -> None:
        said = json.dumps(list(request.transcript))
        self.log.append((self.name, "before_model", said, request.tools.names, dict(request.sampling), request.stream))

    def after_model(self, reply: Reply) -> None:
        self.log.append((self.name, "after_model", json.dumps(reply.message), reply.finish_reason))

    def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
        result = proceed(call)
        self.log.append((self.name, "around_tool", call.key, call.read_only, result.text, result.failed))
        return result

    def on_event(self, event: Event) -> None:
        self.log.append((self.name, "on_event", type(event).__name__))


class Tools:
    """Tools with and without effects; the calls with effects are counted."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        done = self.done

        @tool(read_only=True)
        def look(topic: str) -> str:
            """Look something up."""
            if topic == "fail":
                raise ToolError("there is nothing")
            return f"about {topic}"

        @tool
        def pay(amount: int) -> str:
            """Pay."""
            done.append(amount)
            return f"paid {amount}"

        @tool(approve=lambda values: values["amount"] > 5)
        def wire(amount: Annotated[int, Field(le=1000)]) -> str:
            """Wire money."""
            done.append(("wire", amount))
            return f"wired {amount}"

        self.look, self.pay, self.wire = look, pay, wire
        self.all: list[Any] = [look, pay, wire]


# --- the uses in the documentation ---------------------------------------------------------------------------------


def documented() -> dict[str, Any]:
    """What the examples of docs/hooks.md define."""
    names: dict[str, Any] = {"Hook": Hook, "Reply": Reply, "Refused": Refused, "Streamed": Streamed}
    names |= {"re": re, "time": time, "threading": threading, "collections": collections}
    page = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    for code in re.findall(r"```py\n(.*?)```", page, re.DOTALL):
        exec(code, names)  # noqa: S102
    return names


DOCUMENTED = documented()


@BOTH
def test_documented_masking_changes_what_is_sent_and_not_what_is_stored(stream: bool) -> None:
    backend = ScriptedBackend("Hello!")
    result, _ = ask(Agent(backend, hooks=[DOCUMENTED["Masking"]()]), "I am ann@example.org", stream)
    assert backend.requests[0].messages[0]["content"] == "I am (address)"
    assert result.messages[0]["content"] == "I am ann@example.org"


@BOTH
def test_documented_input_guard_answers_without_a_model(stream: bool) -> None:
    backend = ScriptedBackend("Never asked.")
    result, events = ask(Agent(backend, hooks=[DOCUMENTED["InputGuard"]()]), "my password?", stream)
    assert result.output == "I can't help with passwords."
    assert not backend.requests
    assert result.usage.requests == 0
    assert result.stopped == "answer"
    assert not stream or shown(events) == result.output


@BOTH
def test_documented_output_guard_shows_nothing_of_what_it_stops(stream: bool) -> None:
    agent = Agent(ScriptedBackend("It is sekret, yes."), hooks=[DOCUMENTED["OutputGuard"]()])
    result, events = ask(agent, stream=stream)
    assert result.output == result.messages[-1]["content"] == "I can't say that."
    assert [event.text for event in events if isinstance(event, TextDelta)] == [result.output] * stream


@BOTH
def test_documented_cache_runs_a_read_only_tool_once(stream: bool) -> None:
    count: list[str] = []

    @tool(read_only=True)
    def look(topic: str) -> str:
        """Look."""
        count.append(topic)
        return "found"

    backend = ScriptedBackend(("look", {"topic": "x"}), ("look", {"topic": "x"}), "Done.")
    result, _ = ask(Agent(backend, tools=[look], hooks=[DOCUMENTED["Kept"]()]), stream=stream)
    assert count == ["x"]
    assert [each.response for each in result.tool_calls] == ["found", "found"]


@BOTH
def test_documented_log_has_each_call_with_its_time(stream: bool) -> None:
    log = DOCUMENTED["CallLog"]()
    backend = ScriptedBackend([("pay", {"amount": 1}), ("look", {"topic": "fail"})], "Done.")
    ask(Agent(backend, tools=Tools().all, hooks=[log]), stream=stream)
    assert [(name, failed) for name, failed, _ in log.lines] == [("pay", False), ("look", True)]
    assert all(0 <= seconds < 5 for *_, seconds in log.lines)


@BOTH
def test_documented_rate_lets_so_many_calls_run_at_once(stream: bool) -> None:
    running: list[int] = []
    most: list[int] = []

    @tool(read_only=True)
    def look(topic: str) -> str:
        """Look."""
        running.append(1)
        most.append(len(running))
        time.sleep(0.01)
        running.pop()
        return topic

    backend = ScriptedBackend([("look", {"topic": str(number)}) for number in range(8)], "Done.")
    result, _ = ask(Agent(backend, tools=[look], hooks=[DOCUMENTED["AtOnce"](2)]), stream=stream)
    assert max(most) <= 2
    assert [each.response for each in result.tool_calls] == [str(number) for number in range(8)]


@BOTH
def test_documented_change_runs_the_changed_call(stream: bool) -> None:
    tools = Tools()
    backend = ScriptedBackend([("pay", {"amount": "80"}), ("look", {"topic": "x"})], "Done.")
    result, _ = ask(Agent(backend, tools=tools.all, hooks=[DOCUMENTED["Capped"]()]), stream=stream)
    assert tools.done == [50]
    assert result.tool_calls[0].response == "paid 50"
    assert result.tool_calls[0].arguments == {"amount": "80"}  # as the model wrote them


@BOTH
def test_documented_refusal_is_read_by_the_model(stream: bool) -> None:
    tools = Tools()
    backend = ScriptedBackend([("pay", {"amount": 80}), ("pay", {"amount": 8})], "Done.")
    result, _ = ask(Agent(backend, tools=tools.all, hooks=[DOCUMENTED["NoBigPayments"]()]), stream=stream)
    assert tools.done == [8]
    assert [each.error for each in result.tool_calls] == ["Error: payments over 50 need a person", None]


def test_documented_streamed_filter_masks_keys() -> None:
    agent = Agent(ScriptedBackend("Use sk-abcdefgh1234 for it."), hooks=[DOCUMENTED["masked"]])
    result, events = ask(agent, stream=True)
    assert shown(events) == result.output == "Use (key) for it."


# --- the same calls, streamed and whole ----------------------------------------------------------------------------


def random_script(chance: random.Random) -> list[Any]:
    """Replies with calls of all kinds, and an answer."""
    steps: list[Any] = []
    for _ in range(chance.randint(0, 4)):
        made: list[Any] = [random_call(chance) for _ in range(chance.randint(1, 4))]
        if chance.random() < 0.3:
            made = made[0]
        steps.append(made)
    return [*steps, " ".join(chance.choice(["sekret", "a", "ab@c.de", "word"]) for _ in range(chance.randint(1, 30)))]


def random_call(chance: random.Random) -> tuple[str, dict[str, Any]]:
    name = chance.choice(["look", "look", "pay", "pay", "unknown"])
    if name == "pay":
        return name, {"amount": chance.choice([1, "7", 100, "x", None])}
    return name, {"topic": chance.choice(["x", "y", "fail", "ab@c.de"])}


class Changing(Recording):
    """Changes, answers and refuses at random, but the same for the same values."""

    def __init__(self, seed: int, log: list[Any]) -> None:
        super().__init__(str(seed), log)
        self._seed = seed

    def _acts(self, *values: object) -> bool:
        return random.Random(repr((self._seed, values))).random() < 0.3

    def outgoing(self, message: Message) -> Any:
        super().outgoing(message)
        content = message.get("content")
        if self._acts("outgoing", message["role"]) and isinstance(content, str):
            return {**message, "content": content.replace("ab@c.de", "[mail]")}
        return None

    def before_model(self, request: Request) -> Any:
        super().before_model(request)
        return Reply.text("stopped") if self._acts("before", len(request.transcript)) and self._seed % 5 == 0 else None

    def after_model(self, reply: Reply) -> Any:
        super().after_model(reply)
        return reply.text.upper() if "sekret" in reply.text and self._acts("after") else None

    def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Any:
        if self._acts("refuse", call.key):
            raise Refused("no")
        if self._acts("raise", call.key):
            raise RuntimeError("broken")
        if call.name == "pay" and self._acts("change", call.key):
            call = call.replace({"amount": 3})
        return "answered" if self._acts("answer", call.key) else super().around_tool(call, proceed)


def log_of(seed: int, stream: bool) -> tuple[Any, ...]:
    """The calls of the hooks in a random run, and what came out. Calls that run in parallel have no order."""
    chance = random.Random(seed)
    log: list[Any] = []
    steps, tools = random_script(chance), Tools()
    hooks: list[Hook] = [Changing(seed * 10 + number, log) for number in range(chance.randint(1, 3))]
    if chance.random() < 0.3:
        hooks.insert(chance.randint(0, len(hooks)), Streamed(lambda text: text.replace("sekret", "[x]")))
    result, events = ask(Agent(ScriptedBackend(*steps), tools=tools.all, hooks=hooks), stream=stream)
    if stream:
        assert shown(events).endswith(result.output)
    parallel: list[Any] = []
    ordered: list[Any] = []
    for entry in log:
        if entry[1] == "around_tool":
            parallel.append(entry)
        elif entry[1:] not in [("on_event", "ToolStarted"), ("on_event", "ToolFinished")]:
            ordered += [*sorted(parallel), entry]
            parallel = []
    return ordered, result.output, json.dumps(result.messages), tools.done


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_hooks_are_called_with_the_same_values_streamed_and_whole(first: int) -> None:
    for seed in range(first, first + 50):
        assert log_of(seed, stream=True) == log_of(seed, stream=False), seed


@BOTH
def test_events_are_shown_before_the_caller_gets_them_and_no_deltas(stream: bool) -> None:
    log: list[Any] = []
    agent = Agent(ScriptedBackend(("pay", {"amount": 1}), "It is done."), tools=Tools().all, hooks=[Recording("", log)])
    if stream:
        with agent.stream("Go.") as run:
            for event in run:
                if not isinstance(event, TextDelta):
                    assert log[-1] == ("", "on_event", type(event).__name__)
    else:
        agent.run("Go.")
    names = [entry[2] for entry in log if entry[1] == "on_event"]
    replies = ["ReplyStarted", "ReplyFinished"]
    assert names == [*replies, "ToolStarted", "ToolFinished", *replies, "RunFinished"]


def test_hooks_that_do_not_look_at_replies_leave_streaming_as_it_is() -> None:
    class Other(Recording):
        after_model = Hook.after_model  # type: ignore[assignment]

    events = ask(Agent(ScriptedBackend("one two three")), stream=True)[1]
    hooked = ask(Agent(ScriptedBackend("one two three"), hooks=[Other()]), stream=True)[1]
    assert [type(event) for event in hooked] == [type(event) for event in events]
    assert sum(isinstance(event, TextDelta) for event in hooked) == 3


@BOTH
def test_no_tool_starts_before_a_hook_has_agreed_to_the_reply(stream: bool) -> None:
    started: list[str] = []
    agreed: list[int] = []

    @tool(read_only=True)
    def look(topic: str) -> str:
        """Look."""
        started.append(topic)
        time.sleep(0.02)
        return topic

    class Check(Hook):
        def after_model(self, reply: Reply) -> None:
            time.sleep(0.05)
            agreed.append(len(started))

    steps: list[Any] = [("look", {"topic": "a"}), [("look", {"topic": "b"}), ("look", {"topic": "c"})], "Done."]
    ask(Agent(ScriptedBackend(*steps), tools=[look], hooks=[Check()]), stream=stream)
    assert agreed == [0, 1, 3]


def test_tools_start_early_with_hooks_around_them() -> None:
    """The reply goes on only when its tool was begun: with a hook around the tool, and none around the reply."""
    begun = threading.Event()

    @tool(read_only=True)
    def look(topic: str) -> str:
        """Look."""
        begun.set()
        return topic

    class Around(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            return proceed(call)

    class Slow(ScriptedBackend):
        def reply(self, request: Request) -> Any:
            is_first = len(request.transcript) == 1
            for each in super().reply(request):
                if is_first and isinstance(each, Reply):
                    assert begun.wait(5)
                yield each

    result, _ = ask(Agent(Slow(("look", {"topic": "a"}), "Done."), tools=[look], hooks=[Around()]), stream=True)
    assert result.tool_calls[0].response == "a"


def test_held_replies_arrive_with_reasoning_and_text() -> None:
    message = {"content": "The answer.", "reasoning_content": "Let me think."}
    events = ask(Agent(ScriptedBackend(message), hooks=[Recording()]), stream=True)[1]
    names = [type(event).__name__ for event in events]
    assert names == ["ReplyStarted", "ReasoningDelta", "TextDelta", "ReplyFinished", "RunFinished"]


# --- order -----------------------------------------------------------------------------------------------------------


@BOTH
def test_the_first_hook_is_the_outermost(stream: bool) -> None:
    order: list[str] = []

    class Marking(Hook):
        def __init__(self, name: str) -> None:
            self.name = name

        def outgoing(self, message: Message) -> Mapping[str, Any]:
            return {**message, "content": f"{message['content']}{self.name}"}

        def before_model(self, request: Request) -> None:
            order.append(f"before {self.name}")

        def after_model(self, reply: Reply) -> str:
            order.append(f"after {self.name}")
            return f"{reply.text}{self.name}"

    backend = ScriptedBackend("Answer")
    result, _ = ask(Agent(backend, hooks=[Marking("A"), Marking("B")]), "Hi", stream)
    assert order == ["before A", "before B", "after B", "after A"]
    assert result.output == "AnswerBA"
    assert backend.requests[0].messages[0]["content"] == "HiAB"


@BOTH
@pytest.mark.parametrize("refuses_first", [False, True])
def test_a_call_passes_the_hooks_from_the_outside_in(stream: bool, refuses_first: bool) -> None:
    tools = Tools()

    class Add(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            return proceed(call.replace({"amount": call.arguments["amount"] + 1}))

    class Limit(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            if call.arguments["amount"] > 10:
                raise Refused("too much")
            return proceed(call)

    hooks: list[Hook] = [Limit(), Add()] if refuses_first else [Add(), Limit()]
    backend = ScriptedBackend(("pay", {"amount": 10}), "Done.")
    result, _ = ask(Agent(backend, tools=tools.all, hooks=hooks), stream=stream)
    assert tools.done == ([11] if refuses_first else [])
    assert (result.tool_calls[0].error is None) == refuses_first


@BOTH
def test_a_reply_of_a_hook_passes_the_hooks_around_it_only(stream: bool) -> None:
    outer, inner = Recording("outer"), Recording("inner")

    class Answering(Hook):
        def before_model(self, request: Request) -> Reply:
            return Reply.text("cached")

    ask(Agent(ScriptedBackend(), hooks=[outer, Answering(), inner]), stream=stream)
    assert [entry[1] for entry in outer.log if entry[1].endswith("_model")] == ["before_model", "after_model"]
    assert [entry[1] for entry in inner.log] == ["outgoing", "on_event", "on_event", "on_event"] or all(
        not entry[1].endswith("_model") for entry in inner.log
    )


# --- failures --------------------------------------------------------------------------------------------------------


def failing(method: str, error: BaseException) -> Hook:
    hook = Hook()

    def fail(*values: Any) -> Any:
        raise error

    setattr(hook, method, fail)
    return hook


def returning(method: str, value: object) -> Hook:
    hook = Hook()
    setattr(hook, method, lambda *values: value)
    return hook


@BOTH
@pytest.mark.parametrize("method", ["outgoing", "before_model", "after_model"])
def test_a_hook_that_raises_stops_the_run_and_nothing_is_lost(method: str, stream: bool) -> None:
    backend = ScriptedBackend("It is sekret.")
    agent = Agent(backend, hooks=[failing(method, ValueError("no good"))])
    events: list[Event] = []
    with pytest.raises(HookError, match=rf"Hook\.{method} raised ValueError: no good") as caught:
        events.extend(agent.stream("Hi")) if stream else agent.run("Hi")
    assert isinstance(caught.value.__cause__, ValueError)
    assert shown(events) == ""
    assert caught.value.messages == [{"role": "user", "content": "Hi"}]  # type: ignore[attr-defined]
    assert len(backend.requests) == (method == "after_model")
    again = Agent(ScriptedBackend("Now.")).run(messages=caught.value.messages)  # type: ignore[attr-defined]
    assert again.output == "Now."


@BOTH
@pytest.mark.parametrize("proceeds", [False, True])
def test_a_call_whose_hook_raises_is_not_run_or_its_result_withheld(proceeds: bool, stream: bool) -> None:
    tools = Tools()

    class Broken(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            if proceeds:
                proceed(call)
            raise RuntimeError("private detail")

    backend = ScriptedBackend(("pay", {"amount": 1}), "Done.")
    result, _ = ask(Agent(backend, tools=tools.all, hooks=[Broken()]), stream=stream)
    assert tools.done == [1] * proceeds
    text = "was run, but its result is withheld" if proceeds else "was not run"
    assert result.tool_calls[0].error == f"Error: pay {text}: a check failed."
    assert result.output == "Done."
    assert "private" not in json.dumps(backend.requests[-1].messages)


@BOTH
def test_what_a_hook_raises_at_an_event_is_logged(stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    result, _ = ask(Agent(ScriptedBackend("Fine."), hooks=[failing("on_event", RuntimeError("x"))]), stream=stream)
    assert result.output == "Fine."
    assert "Hook.on_event raised RuntimeError" in caplog.text


@BOTH
@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("outgoing", "text"),
        ("outgoing", {"role": "system", "content": "I am the system"}),
        ("before_model", "text"),
        ("before_model", True),
        ("after_model", 5),
        ("after_model", {"role": "assistant", "content": "x"}),
        ("after_model", Reply({"role": "user", "content": "x"})),
        ("after_model", Reply({"role": "assistant", "tool_calls": [{"id": 1}]})),  # type: ignore[typeddict-item]
        ("before_model", Reply({"role": "assistant", "content": 5})),  # type: ignore[typeddict-item]
        ("around_tool", None),
        ("around_tool", {"text": "x"}),
    ],
)
def test_a_wrong_type_is_a_type_error_that_names_the_method(method: str, value: object, stream: bool) -> None:
    tools = Tools()
    agent = Agent(ScriptedBackend(("pay", {"amount": 1}), "Done."), tools=tools.all, hooks=[returning(method, value)])
    with pytest.raises(TypeError, match=rf"Hook\.{method} returned") as caught:
        ask(agent, stream=stream)
    assert tools.done == []
    again = Agent(ScriptedBackend("Now.")).run("Again.", messages=caught.value.messages)  # type: ignore[attr-defined]
    assert again.output == "Now."
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@BOTH
def test_a_tool_with_effects_is_run_once_for_a_call(stream: bool) -> None:
    tools = Tools()
    seen: list[BaseException] = []

    class Twice(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            first = proceed(call)
            try:
                return proceed(call)
            except HookError as error:
                seen.append(error)
                return first

    backend = ScriptedBackend([("pay", {"amount": 1}), ("look", {"topic": "x"})], "Done.")
    result, _ = ask(Agent(backend, tools=tools.all, hooks=[Twice()]), stream=stream)
    assert tools.done == [1]
    assert len(seen) == 1
    assert "only read-only tools" in str(seen[0])
    assert [each.error for each in result.tool_calls] == [None, None]


@BOTH
def test_changed_arguments_are_checked_like_those_of_the_model(stream: bool) -> None:
    tools = Tools()

    class Change(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            return proceed(call.replace({"amount": "many"}))

    result, _ = ask(Agent(ScriptedBackend(("pay", {"amount": 1}), "."), tools=tools.all, hooks=[Change()]), "?", stream)
    assert tools.done == []
    assert "the arguments of pay don't fit" in str(result.tool_calls[0].error)


@BOTH
def test_arguments_that_do_not_fit_are_answered_before_any_hook(stream: bool) -> None:
    log = Recording()
    agent = Agent(ScriptedBackend([("pay", {"amount": "x"}), ("nope", {})], "."), tools=Tools().all, hooks=[log])
    result, _ = ask(agent, stream=stream)
    assert all(each.error for each in result.tool_calls)
    assert "around_tool" not in {entry[1] for entry in log.log}


# --- approval --------------------------------------------------------------------------------------------------------


class Halved(Hook):
    def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
        if "amount" not in call.arguments:
            return proceed(call)
        return proceed(call.replace({"amount": call.arguments["amount"] // 2}))


@BOTH
def test_a_person_is_asked_about_what_will_run(stream: bool) -> None:
    tools = Tools()
    steps: list[Any] = [[("wire", {"amount": 100}), ("wire", {"amount": 10}), ("wire", {"amount": 40})], "Done."]
    agent = Agent(ScriptedBackend(*steps), tools=tools.all, hooks=[Halved()])
    result, events = ask(agent, stream=stream)
    assert [call.arguments for call in result.pending] == [{"amount": 50}, {"amount": 20}]  # 5 needs nobody
    assert tools.done == []
    assert not any(isinstance(event, ToolStarted) for event in events)
    again = agent.resume(result.messages, approve={call.id: True for call in result.pending})
    assert tools.done == [("wire", 50), ("wire", 5), ("wire", 20)]
    assert again.output == "Done."


@pytest.mark.parametrize("decision", [False, "not today", {"amount": 8}])
def test_decisions_hold_for_calls_that_hooks_change(decision: Any) -> None:
    tools = Tools()
    agent = Agent(ScriptedBackend(("wire", {"amount": 100}), "Done."), tools=tools.all, hooks=[Halved()])
    result = agent.run("Go.")
    again = agent.resume(result.messages, approve={result.pending[0].id: decision})
    assert tools.done == ([("wire", 4)] if isinstance(decision, dict) else [])
    assert again.output == "Done."


@BOTH
def test_hooks_that_answer_or_refuse_a_call_need_no_approval(stream: bool) -> None:
    tools = Tools()

    class Answering(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> str:
            if call.arguments["amount"] > 50:
                raise Refused("too much")
            return "answered"

    steps: list[Any] = [[("wire", {"amount": 100}), ("wire", {"amount": 10})], "Done."]
    result, _ = ask(Agent(ScriptedBackend(*steps), tools=tools.all, hooks=[Answering()]), stream=stream)
    assert not result.pending
    assert tools.done == []
    assert [each.response for each in result.tool_calls] == ["Error: too much", "answered"]


def test_a_hook_that_swallows_everything_gets_no_unapproved_call_through() -> None:
    tools = Tools()

    class Stubborn(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Any:
            for _ in range(3):
                try:
                    return proceed(call)
                except BaseException:  # noqa: BLE001
                    pass
            return "mine"

    agent = Agent(ScriptedBackend(("wire", {"amount": 100}), "Done."), tools=tools.all, hooks=[Stubborn()])
    result = agent.run("Go.")
    time.sleep(0.05)
    assert result.stopped == "approval"
    assert tools.done == []


def test_an_approved_call_is_stored_as_started_before_it_runs() -> None:
    session = MemorySessions()["a"]
    seen: list[list[str]] = []

    @tool(approve=True)
    def wire(amount: int) -> str:
        """Wire."""
        seen.append([entry.kind for entry in session.entries()])
        return "wired"

    agent = Agent(ScriptedBackend(("wire", {"amount": 8}), "Done."), tools=[wire], hooks=[Halved()])
    result = agent.run("Go.", session=session)
    assert seen == []
    assert agent.resume(session, approve={result.pending[0].id: True}).output == "Done."
    assert seen == [["message", "message", "request", "started"]]  # the request: what is decided


@pytest.mark.parametrize("how", ["timeout", "cancel", "seconds"])
def test_a_hook_that_hangs_before_the_approval_does_not_hang_the_run(how: str) -> None:
    release = threading.Event()
    done: list[int] = []

    @tool(approve=True, timeout=0.1 if how == "timeout" else None)
    def wire(amount: int) -> str:
        """Wire."""
        done.append(amount)
        return "wired"

    class Hanging(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            release.wait(20)
            return proceed(call)

    cancel = threading.Event()
    threading.Timer(0.1, cancel.set).start()
    limits = Limits(seconds=0.2) if how == "seconds" else None
    agent = Agent(ScriptedBackend(("wire", {"amount": 8}), "Done."), tools=[wire], hooks=[Hanging()], limits=limits)
    started = time.monotonic()
    result = agent.run("Go.", cancel=cancel if how == "cancel" else None)
    assert time.monotonic() - started < 5
    release.set()
    time.sleep(0.05)
    assert done == []
    assert result.stopped == {"timeout": "answer", "cancel": "cancelled", "seconds": "seconds"}[how]


# --- what is sent ----------------------------------------------------------------------------------------------------


@BOTH
def test_each_message_is_shown_once_and_the_requests_keep_their_beginning(stream: bool) -> None:
    class Numbered(Hook):
        def __init__(self) -> None:
            self.count = 0

        def outgoing(self, message: Message) -> Mapping[str, Any]:
            self.count += 1
            return {**message, "content": f"{message.get('content') or ''} #{self.count}"}

    hook = Numbered()
    backend = ScriptedBackend(*[("look", {"topic": "same"})] * 3, "Done.")
    agent = Agent(backend, tools=Tools().all, hooks=[hook], limits=Limits(repeats=None), instructions="Be brief.")
    result, _ = ask(agent, stream=stream)
    bodies = [request.body for request in backend.requests]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(bodies))
    assert hook.count == len(result.messages) - 1  # all but the answer
    assert "#" not in json.dumps(result.messages)


def test_a_hook_may_not_change_what_is_stored() -> None:
    class Careless(Hook):
        def outgoing(self, message: Message) -> Message:
            message["content"] = "changed"
            return message

    backend = ScriptedBackend("Answer.")
    result = Agent(backend, hooks=[Careless()]).run("Question?")
    assert backend.requests[0].messages[0]["content"] == "changed"
    assert result.messages[0]["content"] == "Question?"


def test_what_is_left_out_and_its_summary_pass_the_hook_too() -> None:
    backend = ScriptedBackend(*[f"Noted {number} ab@c.de. {'word ' * 200}" for number in range(40)])
    hook = Recording()
    masked = Redact([r"\S+@\S+"])
    agent = Agent(backend, hooks=[masked, hook], window=Window(2000, compaction="summarise"))
    messages: list[Message] = []
    for number in range(12):
        messages = agent.run(f"Remember number {number}: x@y.zz", messages=messages).messages
    sent = json.dumps([request.messages for request in backend.requests])
    assert "Summarise the conversation" in sent
    assert "@" not in sent
    assert "x@y.zz" in json.dumps(messages)


@BOTH
def test_what_a_hook_adds_to_a_request_is_masked_too(stream: bool) -> None:
    class Adding(Hook):
        def before_model(self, request: Request) -> Request:
            from dataclasses import replace

            from agentkit.transcript import Transcript

            added: Message = {"role": "system", "content": "Known: ann@example.org"}
            return replace(request, transcript=Transcript([added, *request.transcript]), sampling={"temperature": 0})

    backend = ScriptedBackend("Answer.")
    ask(Agent(backend, hooks=[Redact([r"\S+@\S+"]), Adding()]), "I am bob@example.org", stream)
    assert [message["content"] for message in backend.requests[0].messages] == ["Known: [redacted]", "I am [redacted]"]


def test_a_session_stores_what_was_said_and_sends_what_the_hook_makes_of_it() -> None:
    sessions = MemorySessions()
    for number in range(2):
        backend = ScriptedBackend("Hello.")
        Agent(backend, hooks=[Redact(["Ann"])]).run(f"I am Ann {number}", session=sessions["a"])
    assert [each["content"] for each in sessions["a"].messages] == ["I am Ann 0", "Hello.", "I am Ann 1", "Hello."]
    assert "Ann" not in json.dumps(backend.requests[0].messages)


# --- ready-made hooks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"to": "a@b.cd", "n": 4111111111111111}', {"to": "[redacted]", "n": "[redacted]"}),
        (r'{"to": "a\u0040b.cd"}', {"to": "[redacted]"}),
        ('{"a@b.cd": {"x": ["a@b.cd", true, null, 1.5]}}', {"[redacted]": {"x": ["[redacted]", True, None, 1.5]}}),
        ('{"q": "nothing"}', {"q": "nothing"}),
    ],
)
def test_redacted_arguments_of_calls_stay_json(arguments: str, sent: object) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    history: list[Any] = [
        {"role": "user", "content": [{"type": "text", "text": "a@b.cd"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "from a@b.cd"},
    ]
    backend = ScriptedBackend("Done.")
    Agent(backend, hooks=[Redact([r"[\w.]+@[\w.]+", r"\b\d{16}\b"])]).run(messages=history)
    messages = backend.requests[0].messages
    assert json.loads(messages[1]["tool_calls"][0]["function"]["arguments"]) == sent
    assert "a@b.cd" not in json.dumps(messages)


def test_a_match_beyond_a_value_is_redacted_too() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"password": "x1"}'}}
    history: list[Any] = [{"role": "user", "content": "?"}, {"role": "assistant", "tool_calls": [call]}]
    history.append({"role": "tool", "tool_call_id": "c", "content": "ok"})
    backend = ScriptedBackend("Done.")
    Agent(backend, hooks=[Redact([r'"password"\s*:\s*"[^"]*"'])]).run(messages=history)
    assert "x1" not in json.dumps(backend.requests[0].messages)


@BOTH
def test_a_cache_keeps_the_results_of_all_read_only_tools_and_of_no_other(stream: bool) -> None:
    count: list[str] = []

    @tool(read_only=True)
    def look(topic: str, times: int = 1) -> str:
        """Look."""
        count.append(topic)
        if topic == "fail":
            raise ToolError("nothing")
        return f"found {topic}"

    tools = Tools()
    cache = Cache(60)
    calls: list[Any] = [("look", {"topic": "x", "times": 2}), ("look", {"topic": "x", "times": "2"})]
    steps: list[Any] = [calls, [("look", {"topic": "fail"}), *calls, ("pay", {"amount": 1})], "Done."]
    for deps in ("a", "b"):
        agent = Agent(ScriptedBackend(*steps), tools=[look, tools.pay], hooks=[cache])
        result, _ = ask(agent, stream=stream, deps=deps)
        assert [each.response for each in result.tool_calls if each.arguments.get("topic") == "x"] == ["found x"] * 4
    assert sorted(count) == ["fail", "fail", "x", "x"]  # once for each deps
    assert tools.done == [1, 1]


def test_a_cache_does_not_keep_what_a_person_has_answered() -> None:
    @tool(read_only=True)
    def address(purpose: str, ctx: Context) -> str:
        """The address of the user."""
        return f"lives at {ctx.ask('Where do you live?', {'type': 'string'})}"

    steps: list[Any] = [("address", {"purpose": "x"}), "Ok."]
    agent = Agent(ScriptedBackend(*steps, *steps), tools=[address], hooks=[Cache(60, shared=True)])
    ann = agent.run("I'm Ann.")
    agent.resume(ann.messages, approve={ann.pending[0].id: "12 Main Street"})
    assert agent.run("I'm Ben.").pending  # who is asked himself


def test_an_agent_with_a_cache_can_be_pickled_and_copied() -> None:
    cache = Cache(60, shared=True)
    assert copy.deepcopy(cache) is cache
    assert pickle.loads(pickle.dumps(Agent("extractive", hooks=[cache]))).run("Go.").stopped
    assert pickle.loads(pickle.dumps(cache))._is_shared


def test_two_tools_of_one_name_do_not_share_results() -> None:
    cache = Cache(60, shared=True)
    made = [Tool("look", "Look.", {"type": "object"}, lambda answer=answer: answer, read_only=True) for answer in "ab"]
    runs = [Agent(ScriptedBackend(("look", {}), "."), tools=[each], hooks=[cache]).run("?") for each in made]
    assert [run.tool_calls[0].response for run in runs] == ["a", "b"]


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), True, "60"])
def test_a_cache_that_keeps_nothing_is_refused(seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match="Cache"):
        Cache(seconds)


WORDS = st.sampled_from(["sekret", "sek", "ret", " ", "a", "12", "345", "x" * 30, "sk-abcdefgh", "-", "\n"])


@given(st.lists(WORDS, max_size=40), st.randoms(use_true_random=False), st.sampled_from([12, 16, 64]))
@settings(max_examples=150, deadline=None)
def test_a_streamed_filter_shows_what_it_makes_of_the_whole(words: list[str], chance: Any, lookback: int) -> None:
    def masked(text: str) -> str:
        return re.sub(r"\bsekret\b|\d{5}|sk-[a-z]{4,8}", "[*]", text)

    text = "." + "".join(words)
    places = sorted(chance.randint(0, len(text)) for _ in range(chance.randint(0, 12)))
    parts = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]

    class Pieces(ScriptedBackend):
        def reply(self, request: Request) -> Any:
            yield from map(TextDelta, filter(None, parts))
            yield Reply({"role": "assistant", "content": text}, "stop", Usage(requests=1))

    agent = Agent(Pieces(), hooks=[Streamed(masked, lookback=lookback)])
    result, events = ask(agent, stream=True)
    assert shown(events) == masked(text)
    assert result.messages[-1]["content"] == masked(text)
    assert not any(isinstance(event, ReplyDiscarded) for event in events)


def test_all_but_the_last_characters_are_shown_as_they_arrive() -> None:
    seen: list[int] = []

    class Pieces(ScriptedBackend):
        def reply(self, request: Request) -> Any:
            for number in range(100):
                yield TextDelta("abcdefghi ")
                seen.append(10 * (number + 1))
            yield Reply({"role": "assistant", "content": "abcdefghi " * 100}, "stop", Usage(requests=1))

    agent = Agent(Pieces(), hooks=[Streamed(lambda text: text.replace("sekret", "[x]"))])
    count = 0
    with agent.stream("Hi", cancel=None) as run:
        for event in run:
            if isinstance(event, TextDelta):
                count += len(event.text)
                assert not seen or count >= seen[-1] + 10 - 64 - 10
    assert count == 1000


def test_a_reply_is_shown_anew_where_a_filter_changes_more_than_it_looks_back_at() -> None:
    def masked(text: str) -> str:
        return re.sub(r"<key>.*</key>", "[x]", text)

    text = f"Here: <key>{'z' * 100}</key> it was."
    pieces = re.findall(r".{1,5}", text)

    class Pieces(ScriptedBackend):
        def reply(self, request: Request) -> Any:
            yield from map(TextDelta, pieces)
            yield Reply({"role": "assistant", "content": text}, "stop", Usage(requests=1))

    result, events = ask(Agent(Pieces(), hooks=[Streamed(masked, lookback=16)]), stream=True)
    assert shown(events) == result.output == "Here: [x] it was."


def test_a_streamed_filter_takes_linear_time() -> None:
    def run(size: int) -> Callable[[], object]:
        class Pieces(ScriptedBackend):
            def reply(self, request: Request) -> Any:
                yield from (TextDelta("ab cd ") for _ in range(size))
                yield Reply({"role": "assistant", "content": "ab cd " * size}, "stop", Usage(requests=1))

        agent = Agent(Pieces(), hooks=[Streamed(lambda text: text.replace("cd ab", "x"))])
        return lambda: ask(agent, stream=True)

    assert_linear(run, 500)


@pytest.mark.parametrize("value", [5, None])
def test_a_streamed_filter_that_returns_no_text_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match=r"Streamed\.after_model returned"):
        ask(Agent(ScriptedBackend("x" * 100), hooks=[Streamed(lambda text: value)]), stream=True)


@BOTH
def test_a_typed_answer_passes_the_hooks_before_it_is_validated(stream: bool) -> None:
    class City(BaseModel):
        name: str
        people: int

    class Corrects(Hook):
        def after_model(self, reply: Reply) -> str:
            return reply.text.replace("many", "717710")

    agent = Agent(ScriptedBackend('{"name": "Oslo", "people": "many"}'), hooks=[Corrects()])
    backend = agent.backend
    assert isinstance(backend, ScriptedBackend)
    result, _ = ask(agent, stream=stream, output=City)
    assert result.output == City(name="Oslo", people=717710)
    assert len(backend.requests) == 1


# --- agents in agents, threads, state --------------------------------------------------------------------------------


@BOTH
def test_an_agent_inside_of_a_tool_has_the_hooks_around_it(stream: bool) -> None:
    tools, log, own = Tools(), Recording("outer"), Recording("inner")

    class Mine(Hook):
        inherit = False

        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            assert call.name == "helper"
            return proceed(call)

    inner = Agent(ScriptedBackend(("pay", {"amount": 1}), "Paid."), tools=tools.all, hooks=[own])
    helper = inner.as_tool("helper", "Helps.")
    outer = Agent(ScriptedBackend(("helper", {"task": "pay"}), "Done."), tools=[helper], hooks=[log, Mine()])
    ask(outer, stream=stream)
    names = [entry[2][0] for entry in log.log if entry[1] == "around_tool"]
    assert names == ["pay", "helper"]
    assert [entry[1] for entry in own.log].count("around_tool") == 1
    assert [entry[2] for entry in log.log if entry[1] == "on_event"].count("RunFinished") == 1
    assert sum(entry[1] == "before_model" for entry in log.log) == 4


def test_a_hook_that_both_agents_have_is_called_once() -> None:
    shared = Recording()
    inner = Agent(ScriptedBackend("Helped."), hooks=[shared])
    outer = Agent(ScriptedBackend(("helper", {"task": "x"}), "Done."), tools=[inner.as_tool("helper", "Helps.")])
    both = Agent(outer.backend, tools=outer.tools, hooks=[shared])
    both.run("Go.")
    assert sum(entry[1] == "before_model" for entry in shared.log) == 3


def test_one_hook_serves_many_threads() -> None:
    class Counting(Hook):
        def __init__(self) -> None:
            self.lock = threading.Lock()
            self.counts: collections.Counter[str] = collections.Counter()

        def outgoing(self, message: Message) -> None:
            self._count("outgoing")

        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            self._count("around_tool")
            return proceed(call.replace({"amount": call.arguments["amount"] + 1}))

        def _count(self, name: str) -> None:
            with self.lock:
                self.counts[name] += 1

    hook, done = Counting(), []

    @tool
    def pay(amount: int) -> str:
        """Pay."""
        done.append(amount)
        return str(amount)

    def work(number: int) -> None:
        agent = Agent(ScriptedBackend(("pay", {"amount": number}), "Done."), tools=[pay], hooks=[hook])
        assert ask(agent, stream=bool(number % 2))[0].tool_calls[0].response == str(number + 1)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(1, 65))
    assert hook.counts == {"outgoing": 64 * 3, "around_tool": 64}


def test_a_hook_may_have_an_object_for_each_run() -> None:
    class OfRun(Hook):
        def __init__(self, context: Context[Any]) -> None:
            self.context, self.count = context, 0

        def before_model(self, request: Request) -> None:
            self.count += 1
            assert self.context.deps == "mine"

    class Made(Hook):
        def __init__(self) -> None:
            self.made: list[OfRun] = []

        def for_run(self, context: Context[Any]) -> Hook:
            self.made.append(OfRun(context))
            return self.made[-1]

    hook = Made()
    agent = Agent(ScriptedBackend("a", "b"), hooks=[hook])
    for _ in range(2):
        agent.run("Hi", deps="mine")
    assert [each.count for each in hook.made] == [1, 1]


@BOTH
def test_usage_stays_what_was_spent(stream: bool) -> None:
    with serve([whole("x", usage={"prompt_tokens": 11, "completion_tokens": 3})] * 2) as server:
        agent = Agent(
            OpenAIBackend("m", base_url=server.url, api_key="x"), hooks=[returning("after_model", Reply.text("other"))]
        )
        result, _ = ask(agent, stream=stream)
    assert result.output == "other"
    assert (result.usage.input_tokens, result.usage.output_tokens) == (11, 3)
    assert {name: usage.input_tokens for name, usage in result.models.items()} == {"m": 11}


@pytest.mark.parametrize("held", [False, True])
def test_hooks_see_one_reply_whichever_model_has_written_it(held: bool) -> None:
    broken = streamed(delta(content="half all "), done=False, cut=True)
    asked: list[int] = []

    class Asking(Hook):
        def before_model(self, request: Request) -> None:
            asked.append(len(request.transcript))

    def masked(text: str) -> str:
        return text.replace("all", "ALL")

    with (
        serve([broken] * 4) as one,
        serve([streamed(delta(content="it is all"), delta("stop"))]) as other,
    ):
        models = [
            OpenAIBackend("a", base_url=one.url, api_key="x"),
            OpenAIBackend("b", base_url=other.url, api_key="x"),
        ]
        hooks = [Streamed(masked, lookback=3), Asking(), *[Recording()] * held]
        result, events = ask(Agent(models, hooks=hooks), stream=True)
    assert asked == [1]
    assert list(result.models) == ["b"]
    assert shown(events) == result.output == "it is ALL"
    assert any(isinstance(event, ReplyDiscarded) for event in events) != held


def test_a_held_reply_of_a_server_is_not_shown_before_it_is_whole() -> None:
    with serve([streamed(delta(content="sek"), delta(content="ret"), delta("stop")), whole("sekret")]) as server:
        agent = Agent(OpenAIBackend("m", base_url=server.url, api_key="x"), hooks=[DOCUMENTED["OutputGuard"]()])
        _, events = ask(agent, stream=True)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["I can't say that."]


@pytest.mark.parametrize(
    ("hooks", "words"),
    [
        (Redact(["x"]), "pass a list of hooks"),
        ([Redact], "Redact is a class: pass an object"),
        ([print], "is no hook"),
        ("x", "pass a list"),
    ],
)
def test_hooks_that_are_none_are_refused(hooks: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Agent(ScriptedBackend(), hooks=hooks)


def test_an_async_hook_is_refused() -> None:
    class Async(Hook):
        async def before_model(self, request: Request) -> None:  # type: ignore[override]
            pass

    with pytest.raises(ConfigurationError, match="async method"):
        Agent(ScriptedBackend(), hooks=[Async()])


@pytest.mark.parametrize("patterns", ["x", ["("], [5]])
def test_invalid_patterns_are_refused(patterns: Any) -> None:
    with pytest.raises(ConfigurationError, match="Redact"):
        Redact(patterns)


@pytest.mark.parametrize("lookback", [0, -1, True, "x"])
def test_an_invalid_lookback_is_refused(lookback: Any) -> None:
    with pytest.raises(ConfigurationError, match="lookback"):
        Streamed(str.upper, lookback=lookback)


def test_hooks_are_copied_and_pickled_with_their_agent() -> None:
    agent = Agent("extractive", hooks=[Redact(["x"])])
    for made in (copy.copy(agent), copy.deepcopy(agent), pickle.loads(pickle.dumps(agent))):
        assert [type(hook) for hook in made._made_of()["hooks"]] == [Redact]


def test_reply_text_makes_and_reads_texts() -> None:
    made = Reply.text("Hello")
    assert made.text == "Hello"
    assert made.message == {"role": "assistant", "content": "Hello"}
    assert made.usage == Usage()
    assert Reply({"role": "assistant", "content": [{"type": "text", "text": "a"}]}).text == "a"


def test_a_finished_reply_and_a_result_have_the_changed_text() -> None:
    events = ask(Agent(ScriptedBackend("x"), hooks=[returning("after_model", "y")]), stream=True)[1]
    (finished,) = [event for event in events if isinstance(event, ReplyFinished)]
    assert finished.reply.text == "y"
    assert isinstance(events[-1], RunFinished)
    assert events[-1].result.output == "y"
