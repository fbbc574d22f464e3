"""Middleware and users' own wrappers of a backend: what passes through them."""

from dataclasses import dataclass
from typing import Any

import pytest

from agentkit import Agent, ConfigurationError, MemorySessions, Window, tool
from agentkit.backend import Backend, Capabilities, ReplyStream, Request
from agentkit.backends import OpenAIBackend
from agentkit.middleware.base import Middleware
from agentkit.middleware.sampling import Sampling
from agentkit.serving.chat_service import ChatService
from agentkit.serving.exchange import UserInput
from agentkit.testing import ScriptedBackend
from tests.support.model_server import calls, serve, whole


class Forwarding:
    """What a user writes without any class of agentkit."""

    def __init__(self, backend: Backend) -> None:
        self.reply, self.close, self.capabilities = backend.reply, backend.close, backend.capabilities


@dataclass
class City:
    name: str
    people: int


def test_a_wrapper_of_a_users_keeps_structured_output_by_schema() -> None:
    with serve([whole('{"name": "Oslo", "people": 717710}')]) as server:
        agent = Agent(Forwarding(OpenAIBackend("m", base_url=server.url)))
        assert agent.run("Oslo?", output=City).output == City("Oslo", 717710)
        assert server.requests[0].body["response_format"]["type"] == "json_schema"
        assert "tools" not in server.requests[0].body


def test_a_wrapper_of_a_users_keeps_the_sampling_of_a_client() -> None:
    with serve([whole("Hi")]) as server:
        backend = OpenAIBackend("m", base_url=server.url, temperature=0.5, top_p=0.9)
        service = ChatService(Forwarding(backend), MemorySessions())
        service.answer(UserInput("Hi", sampling={"temperature": 0.1, "max_tokens": 7, "top_p": None}))
        body = server.requests[0].body
        assert (body["temperature"], body["max_tokens"], "top_p" in body) == (0.1, 7, False)


def test_a_wrapper_of_a_users_keeps_the_context_length() -> None:
    class Known(ScriptedBackend):
        def capabilities(self, ask: bool = False) -> Capabilities:
            return Capabilities(context_length=2000 if ask else None)

    backend = Known("Yes.")
    earlier = [{"role": role, "content": f"{role} " * 900} for role in ("user", "assistant")] * 4
    Agent(Forwarding(backend), window=Window(last_turns=1)).run("And now?", messages=earlier)
    assert len(backend.requests[0].messages) < len(earlier)


def test_a_wrapper_of_a_users_keeps_the_early_start_of_tools() -> None:
    started: list[str] = []

    @tool(read_only=True)
    def look_up(topic: str) -> str:
        """Look a topic up."""
        started.append(topic)
        return "found"

    with serve([calls(("look_up", {"topic": "tides"})), whole("Done.")]) as server:
        result = Agent(Forwarding(OpenAIBackend("m", base_url=server.url)), tools=[look_up]).run("Tides?")
        assert (result.output, started) == ("Done.", ["tides"])
        assert server.requests[0].body["stream"] is True


def test_a_backend_of_reply_and_close_alone_is_accepted() -> None:
    scripted = ScriptedBackend("Hello.")

    class Small:
        reply, close = scripted.reply, scripted.close

    small: Any = Small()
    agent = Agent(small)
    assert agent.run("Hi").output == "Hello."
    assert agent.backend is small


def test_middleware_forwards_what_it_does_not_change() -> None:
    class Counting(Middleware):
        count = 0

        def reply(self, request: Request) -> ReplyStream:
            self.count += 1
            return super().reply(request)

    scripted = ScriptedBackend("Hello.")
    counting = Counting(scripted)
    assert Agent(counting).run("Hi").output == "Hello."
    assert (counting.count, counting.capabilities(), repr(counting)) == (1, Capabilities(), repr(scripted))
    counting.close()
    assert scripted.closed


def test_a_field_that_the_agent_sets_is_no_sampling_and_leaves_the_session_as_it_was() -> None:
    sessions = MemorySessions()
    with serve([whole("Hi")]) as server:
        backend = OpenAIBackend("m", base_url=server.url)
        with pytest.raises(ConfigurationError, match="messages"):
            ChatService(backend, sessions).answer(UserInput("Hi", session="a", sampling={"messages": []}))
        assert server.requests == []
    assert sessions["a"].messages == []


def test_sampling_of_a_request_goes_over_that_of_a_wrapper() -> None:
    with serve([whole("Hi")]) as server:
        inner = Sampling(OpenAIBackend("m", base_url=server.url), {"temperature": 0.1, "seed": 3})
        Agent(Sampling(inner, {"temperature": 0.9})).run("Hi")
        assert (server.requests[0].body["temperature"], server.requests[0].body["seed"]) == (0.9, 3)


def test_middleware_of_the_user_stands_innermost_the_first_outermost_and_sees_each_attempt() -> None:
    order: list[str] = []

    def named(name: str) -> type[Middleware]:
        class Noting(Middleware):
            def reply(self, request: Request) -> ReplyStream:
                order.append(name)
                return super().reply(request)

        return Noting

    agent = Agent(ScriptedBackend("", "Hello."), middleware=[named("outer"), named("inner")])
    assert agent.run("Hi").output == "Hello."  # the empty reply was requested again
    assert order == ["outer", "inner"] * 2
