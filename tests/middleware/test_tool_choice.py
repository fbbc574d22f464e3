"""A forced call is asked for once a question, unless a tool that ends the run can meet it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from agentkit import Agent, ToolError, tool
from agentkit.backend import Backend, Capabilities
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.middleware.base import Middleware
from agentkit.middleware.sampling import Sampling
from agentkit.middleware.tool_choice import choice_after_a_call, has_called
from agentkit.sessions import MemorySessions
from tests.support.lightllm_server import serve_lightllm
from tests.support.model_server import Answer, Asked, ModelServer, calls, serve, streamed, whole
from tests.support.model_server import delta as delta_of

sent: list[str] = []
tries: list[str] = []
NAMED = {"type": "function", "function": {"name": "send"}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}}
FORCED: list[Any] = ["required", "any", NAMED, {"type": "function", "name": "send"}, {"type": "any"}, ALLOWED]


@tool
def send(to: str) -> str:
    """Send the report to somebody."""
    sent.append(to)
    return f"sent to {to}"


@tool(ends_run=True)
def submit(answer: str) -> str:
    """Submit the answer."""
    tries.append(answer)
    if len(tries) < 3:
        raise ToolError("wrong, try again")
    return f"submitted {answer}"


@pytest.fixture(autouse=True)
def nothing_sent() -> None:
    sent.clear()
    tries.clear()


def is_forced(choice: Any) -> bool:
    if isinstance(choice, dict) and "allowed_tools" in choice:
        return bool(choice["allowed_tools"]["mode"] == "required")
    return choice not in (None, "auto", "none")


def obedient(name: str = "send", arguments: dict[str, Any] | None = None) -> Callable[[Asked], Answer]:
    """A server that calls the tool whenever it is forced to call one, and else answers."""

    def reply(asked: Asked) -> Answer:
        is_streamed = bool(asked.body.get("stream"))
        if not is_forced(asked.body.get("tool_choice")):
            return streamed(delta_of(content="Done."), delta_of("stop")) if is_streamed else whole("Done.")
        if not is_streamed:
            return calls((name, arguments or {"to": "bob"}))
        function = {"name": name, "arguments": json.dumps(arguments or {"to": "bob"})}
        call = {"index": 0, "id": f"c{len(asked.body['messages'])}", "type": "function", "function": function}
        return streamed(delta_of(tool_calls=[call]), delta_of("tool_calls"))

    return reply


def choices(server: ModelServer) -> list[Any]:
    return [asked.body.get("tool_choice") for asked in server.requests]


def finished(agent: Agent, stream: bool, *arguments: Any, **options: Any) -> Any:
    if not stream:
        return agent.run(*arguments, **options)
    return list(agent.stream(*arguments, **options))[-1].result  # type: ignore[attr-defined]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", FORCED, ids=str)
@pytest.mark.parametrize("where", ["backend", "run", "middleware"])
def test_a_forced_tool_is_called_once(where: str, choice: Any, stream: bool) -> None:
    """agno#3291, prism#857: the tool was called until the limit."""
    with serve(obedient()) as server:
        own = {"tool_choice": choice} if where == "backend" else {}
        backend = OpenAIBackend("m", base_url=server.url, **own)
        wraps = [lambda inner: Sampling(inner, {"tool_choice": choice})] if where == "middleware" else []
        agent = Agent(backend, tools=[send], middleware=wraps)
        options = {"sampling": {"tool_choice": choice}} if where == "run" else {}
        first = finished(agent, stream, "Send it to Bob.", **options)
        assert (sent, first.output, first.stopped) == (["bob"], "Done.", "answer")
        again = finished(agent, stream, "Once more.", messages=first.messages, **options)
        backend.close()
    assert (sent, again.output) == (["bob", "bob"], "Done.")
    assert [is_forced(asked) for asked in choices(server)] == [True, False, True, False]


@pytest.mark.parametrize("stream", [False, True])
def test_a_choice_that_forces_nothing_stays(stream: bool) -> None:
    with serve([calls(("send", {"to": "bob"})), whole("Done.")] * 3) as server:
        for choice in ("auto", "none", None):
            backend = OpenAIBackend("m", base_url=server.url, tool_choice=choice)
            finished(Agent(backend, tools=[send]), stream, "Go.")
            backend.close()
    assert choices(server) == ["auto", "auto", "none", "none", None, None]


def test_a_resumed_run_is_not_forced_to_call_again() -> None:
    asked = tool(approve=True)(send.function)
    with serve(obedient()) as server, MemorySessions() as sessions:
        backend = OpenAIBackend("m", base_url=server.url, tool_choice="required")
        agent = Agent(backend, tools=[asked])
        paused = agent.run("Send it.", session=sessions["a"])
        done = agent.resume(sessions["a"], approve={paused.pending[0].id: True})
        assert (sent, done.output) == (["bob"], "Done.")
        assert agent.resume(paused.messages, approve={paused.pending[0].id: True}).output == "Done."
        backend.close()
    assert choices(server) == ["required", "auto", "auto"]


def test_a_call_that_failed_counts() -> None:
    with serve(obedient(arguments={"nobody": 1})) as server:
        backend = OpenAIBackend("m", base_url=server.url, tool_choice="required")
        assert Agent(backend, tools=[send]).run("Go.").output == "Done."
        backend.close()
    assert (sent, choices(server)) == ([], ["required", "auto"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "submit"}}], ids=str)
def test_a_tool_that_ends_the_run_is_required_until_it_has_ended_it(choice: Any, stream: bool) -> None:
    with serve(obedient("submit", {"answer": "42"})) as server:
        backend = OpenAIBackend("m", base_url=server.url, tool_choice=choice)
        result = finished(Agent(backend, tools=[send, submit]), stream, "What is it?")
        backend.close()
    assert (result.output, result.stopped, tries) == ("submitted 42", "answer", ["42"] * 3)
    assert choices(server) == [choice] * 3


def test_another_named_tool_does_not_stay_for_a_tool_that_ends_the_run() -> None:
    with serve(obedient()) as server:
        backend = OpenAIBackend("m", base_url=server.url, tool_choice=NAMED)
        assert Agent(backend, tools=[send, submit]).run("Go.").output == "Done."
        backend.close()
    assert (sent, choices(server)) == (["bob"], [NAMED, "auto"])


class City(BaseModel):
    name: str


def test_a_typed_answer_by_tool_is_required_until_it_is_there() -> None:
    class NoSchema(Middleware):
        def capabilities(self, ask: bool = False) -> Capabilities:
            return Capabilities(tool_choice=self.backend.capabilities(ask).tool_choice)

    replies = [calls(("send", {"to": "bob"})), calls(("final_answer", {"name": "Oslo"}))]
    with serve(replies) as server:
        backend = OpenAIBackend("m", base_url=server.url, tool_choice="required")
        agent = Agent(backend, tools=[send], middleware=[NoSchema])
        assert agent.run("Send it.", output=City).output == City(name="Oslo")
        backend.close()
    assert choices(server) == ["required", "required"]


def test_a_correction_of_a_typed_answer_forces_no_second_call() -> None:
    replies = [calls(("send", {"to": "bob"})), whole("no JSON"), whole('{"name": "Oslo"}')]
    with serve(replies) as server:
        backend = OpenAIBackend("m", base_url=server.url, tool_choice="required")

        class Always(Middleware):
            def capabilities(self, ask: bool = False) -> Capabilities:
                return Capabilities(schema="always", tool_choice=self.backend.capabilities(ask).tool_choice)

        agent = Agent(backend, tools=[send], middleware=[Always])
        assert agent.run("Send it.", output=City).output == City(name="Oslo")
        backend.close()
    assert choices(server) == ["required", "auto", "auto"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", ["required", "any", NAMED], ids=str)
def test_lightllm_begins_a_forced_call_once(choice: Any, stream: bool) -> None:
    """There the beginning of the call is put into the prompt."""
    with serve_lightllm(['{"to": "bob"}}\n</tool_call>', "Done."]) as server:
        backend = LightLLMBackend("Qwen3-8B", server.url, tool_choice=choice)
        result = finished(Agent(backend, tools=[send]), stream, "Send it.")
        backend.close()
    assert (sent, result.output) == (["bob"], "Done.")
    assert [asked.prompt.rstrip().endswith('"arguments":') for asked in server.requests] == [True, False]


@pytest.mark.parametrize(
    ("choice", "ending", "then"),
    [
        ("send", set(), "auto"),
        ("submit", {"submit"}, "submit"),
        ({"type": "tool", "name": "send"}, {"submit"}, "auto"),
        ({"type": "auto"}, set(), {"type": "auto"}),
        (ALLOWED, set(), {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED]}}),
        (
            {"type": "allowed_tools", "mode": "required", "tools": []},
            set(),
            {"type": "allowed_tools", "mode": "auto", "tools": []},
        ),
        (ALLOWED, {"send"}, ALLOWED),
    ],
    ids=str,
)
def test_the_choice_after_a_call(choice: Any, ending: set[str], then: Any) -> None:
    assert choice_after_a_call(choice, ending) == then


def test_a_call_counts_for_its_question_only() -> None:
    call: Any = {"id": "c", "type": "function", "function": {"name": "send", "arguments": "{}"}}
    said: list[Any] = [{"role": "user", "content": "Go."}, {"role": "assistant", "content": None, "tool_calls": [call]}]
    assert not has_called(said[:1])
    assert has_called(said)
    said += [{"role": "tool", "tool_call_id": "c", "content": "x"}, {"role": "assistant", "content": "Done."}]
    assert has_called(said)
    assert has_called([*said, {"role": "user", "content": "Your answer is not valid: no JSON. Call final_answer."}])
    assert not has_called([*said, {"role": "user", "content": "More."}])


def test_a_backend_that_knows_no_choice_is_left_alone() -> None:
    class Bare:
        def __init__(self, inner: Backend) -> None:
            self.reply, self.close = inner.reply, inner.close

    with serve([calls(("send", {"to": "bob"})), whole("Done.")]) as server:
        backend = OpenAIBackend("m", base_url=server.url)
        assert Agent(Bare(backend), tools=[send]).run("Go.").output == "Done."  # type: ignore[arg-type]
        backend.close()
    assert choices(server) == [None, None]
