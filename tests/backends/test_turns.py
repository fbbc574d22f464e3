"""Histories for chat templates that take the user and the model in turns, and instructions at the beginning alone."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from agentkit import Agent, Image, Limits, tool
from agentkit.backends import OpenAIBackend
from agentkit.backends.turns import in_turns
from agentkit.message import has_images
from tests.support.model_server import Answer, Asked, calls, serve, whole
from tests.support.strict_messages import faults_of_request

DEVSTRAL = (
    "\n------------\nWhile executing CallExpression at line 189, column 32 in source:\n...== 0) %}↵            "
    "{{- raise_exception('After the optional system message, con...\n   ^\nError: Jinja Exception: After the optional "
    "system message, conversation roles must alternate user and assistant roles except for tool calls and results."
)
GEMMA = "Conversation roles must alternate user/assistant/user/assistant/..."
QWEN = "Chat template error: System message must be at the beginning."


@tool
def look(city: str) -> str:
    """Look."""
    return "21"


@tool
def photograph() -> Image:
    """Take a photograph."""
    return Image(b"\x89PNG", "image/png", "photo")


def refused(status: int, message: str, **more: Any) -> Answer:
    return Answer(json.dumps({"error": {"code": status, "message": message}, **more}).encode(), status)


Server = Callable[[Asked], Answer]


def devstral(*replies: Answer) -> Server:
    """Its template counts the user's messages and the replies without calls."""
    left = iter(replies)

    def answer(asked: Asked) -> Answer:
        messages = asked.body["messages"]
        spoken = [each["role"] for each in messages[messages[0]["role"] == "system" :] if not _is_of_tools(each)]
        if any(role != ("user", "assistant")[place % 2] for place, role in enumerate(spoken)):
            return refused(500, DEVSTRAL)
        return next(left)

    return answer


def mistral(*replies: Answer) -> Server:
    """Mistral's API refuses what the user says behind a result, and instructions in the middle."""
    left = iter(replies)

    def answer(asked: Asked) -> Answer:
        roles = [each["role"] for each in asked.body["messages"]]
        for before, role in pairwise(roles):
            if (before == "tool" and role == "user") or (role == "system" and before != "system"):
                body = {"object": "error", "message": f"Unexpected role '{role}' after role '{before}'", "code": "3230"}
                return Answer(json.dumps(body).encode(), 400)
        return next(left)

    return answer


def qwen(*replies: Answer) -> Server:
    left = iter(replies)

    def answer(asked: Asked) -> Answer:
        if any(each["role"] == "system" for each in asked.body["messages"][1:]):
            return refused(400, QWEN)
        return next(left)

    return answer


def _is_of_tools(message: dict[str, Any]) -> bool:
    return message["role"] == "tool" or bool(message.get("tool_calls"))


def asked_of(server: Server, prompt: str = "And now?", **options: Any) -> tuple[str, list[list[dict[str, Any]]]]:
    """The answer, and the messages of each request."""
    with serve(server) as running:
        backend = OpenAIBackend("m", base_url=running.url, max_retries=0)
        agent = Agent(backend, tools=[look, photograph], limits=options.pop("limits", None), **options.pop("agent", {}))
        result = agent.run(prompt, **options)
        for request in running.requests:
            assert faults_of_request(request.body["messages"]) == []
        return result.output, [request.body["messages"] for request in running.requests]


@pytest.mark.parametrize("server", [devstral, mistral])
def test_a_run_that_reaches_a_limit_is_answered_by_a_model_that_takes_turns(server: Callable[..., Server]) -> None:
    """mistralai/mistral-vibe#1006, eclipse-theia/theia#17104, NousResearch/hermes-agent#20154,
    zed-industries/zed#37021, mistralai/mistral-common#169, datapizza-labs/datapizza-ai#20, pydantic/pydantic-ai#1210,
    openclaw/openclaw#33177"""
    model = server(calls(("look", {"city": "Oslo"})), whole("It is 21."))
    output, requests = asked_of(model, limits=Limits(turns=1))
    assert output == "It is 21."
    assert [each["role"] for each in requests[-1]] == ["user", "assistant", "tool", "assistant", "user"]
    assert requests[-1][-1] == requests[-2][-1]


def test_what_was_learned_of_turns_holds_for_the_next_runs_and_tools_stay_native() -> None:
    """sipeed/picoclaw#207: the same history was refused again and again."""
    replies = [calls(("look", {"city": "Oslo"})), whole("It is 21."), calls(("look", {"city": "Bergen"})), whole("19.")]
    with serve(devstral(*replies)) as server:
        agent = Agent(OpenAIBackend("m", base_url=server.url, max_retries=0), tools=[look], limits=Limits(turns=1))
        first = agent.run("Oslo?")
        assert agent.run("And Bergen?", messages=first.messages).output == "19."
        assert len(server.requests) == 5  # one was refused
        assert "tools" in server.requests[3].body


def test_images_of_tools_reach_a_model_that_takes_turns() -> None:
    output, requests = asked_of(devstral(calls(("photograph", {})), whole("A cat.")))
    assert output == "A cat."
    assert [each["role"] for each in requests[-1]] == ["user", "assistant", "tool", "assistant", "user"]
    assert has_images(requests[-1][-1])  # type: ignore[arg-type]


def test_questions_in_a_row_are_one_for_a_model_that_takes_turns() -> None:
    """SWE-agent/mini-swe-agent#759, suitenumerique/conversations#197"""
    history = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "First."}]
    output, requests = asked_of(devstral(whole("Both.")), "Second.", messages=history)
    assert output == "Both."
    assert requests[-1] == [history[0], {"role": "user", "content": "First.\n\nSecond."}]


@pytest.mark.parametrize("server", [qwen, mistral])
def test_instructions_in_the_middle_are_the_users_where_a_template_wants_them_first(
    server: Callable[..., Server],
) -> None:
    """QwenLM/Qwen3.8#244, vllm-project/vllm#41114, ggml-org/llama.cpp#27367, intuitem/ciso-assistant-community#4679"""
    history = [
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "content": "Hello."},
        {"role": "system", "content": "Answer BLUE from now on."},
    ]
    given = {"instructions": "Be brief."}
    output, requests = asked_of(server(whole("BLUE")), "The sky?", messages=history, agent=given)
    assert output == "BLUE"
    assert [each["role"] for each in requests[-1]] == ["system", "user", "assistant", "user"]
    assert requests[-1][-1]["content"] == "Answer BLUE from now on.\n\nThe sky?"


def test_a_template_without_tools_is_still_sent_them_as_text() -> None:
    def gemma(asked: Asked) -> Answer:
        roles = [each["role"] for each in asked.body["messages"] if each["role"] != "system"]
        if "tool" in roles or any(role != ("user", "assistant")[place % 2] for place, role in enumerate(roles)):
            return refused(400, GEMMA)
        return whole('{"answer": "It is 21."}') if "tools" not in asked.body else calls(("look", {"city": "Oslo"}))

    output, requests = asked_of(gemma)
    assert output == "It is 21."
    assert "tool_response>" in str(requests[-1])
    assert "tool_calls" not in str(requests[-1])


def test_the_history_itself_stays_as_it_is() -> None:
    history = [{"role": "user", "content": "First."}]
    with serve(devstral(whole("Both."))) as server:
        agent = Agent(OpenAIBackend("m", base_url=server.url, max_retries=0))
        result = agent.run("Second.", messages=history)
    assert [each["role"] for each in result.messages] == ["user", "user", "assistant"]


def test_a_refusal_of_turns_that_are_in_order_is_the_servers_error() -> None:
    with serve([refused(400, GEMMA)]) as server, pytest.raises(Exception, match="must alternate"):
        Agent(OpenAIBackend("m", base_url=server.url, max_retries=0)).run("Hi.")
    assert len(server.requests) == 1


def test_turns_lose_nothing() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages: list[Any] = [
        {"role": "system", "content": "s1"},
        {"role": "developer", "content": "s2"},
        {"role": "assistant", "content": "a1"},
        {"role": "assistant", "content": "a2", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "t1"},
        {"role": "system", "content": "s3"},
        {"role": "user", "content": [{"type": "text", "text": "u1"}]},
        {"role": "assistant", "content": "a3"},
        {"role": "assistant", "content": None, "tool_calls": [{**call, "id": "b"}]},
        {"role": "tool", "tool_call_id": "b", "content": "t2"},
        {"role": "assistant", "content": "a4"},
    ]
    made = in_turns(messages)
    roles = ["developer", "user", "assistant", "tool", "assistant", "user", "assistant", "tool", "assistant"]
    assert [each["role"] for each in made] == roles
    text = json.dumps(made)
    assert all(word in text for word in ("s1", "s2", "a1", "a2", "t1", "s3", "u1", "a3", "t2", "a4"))
    assert in_turns(made) == made
