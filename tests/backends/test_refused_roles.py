"""Roles that a model, a gateway or a chat template refuses: instructions reach the model in the form that it takes."""

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest

from agentkit import Agent, tool
from agentkit.backends import OpenAIBackend
from tests.support.model_server import Answer, Asked, calls, serve, whole
from tests.support.strict_messages import faults_of_request


@tool
def look(city: str) -> str:
    """Look."""
    return "21"


def without(role: str, body: Any, status: int, *replies: Answer) -> Callable[[Asked], Answer]:
    """A server that refuses messages with a role."""
    left = iter(replies)

    def answer(asked: Asked) -> Answer:
        if any(message["role"] == role for message in asked.body["messages"]):
            return Answer(json.dumps(body).encode(), status)
        return next(left)

    return answer


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", **more}}


DEVELOPER = [
    # QuantumNous/new-api#5330
    error(
        "invalid parameter 'messages[0].role': invalid role 'developer', must be one of: system, user, assistant, tool"
    ),
    # DLYZZT/pi-desktop#33
    error("developer is not one of ['system', 'assistant', 'user', 'tool', 'function'] - 'messages.['0].role'"),
    # maotoumao/Cebian#57
    error("message role is 'developer', not one of ['system', 'assistant', 'function', 'user', 'tool']"),
    # vastsa/PI-Desktop#30
    error("Error from provider (Console Go): Upstream request failed: [1214] Incorrect role information"),
    # lobehub/lobehub#5704
    error("Unsupported value: 'messages[0].role' does not support 'developer' with this model.", code="unsupported"),
    error(
        "Failed to deserialize the JSON body into the target type: messages[0].role: unknown variant `developer`, "
        "expected one of `system`, `user`, `assistant`, `tool` at line 1 column 30"
    ),
    {"object": "error", "message": "Unexpected message role.", "type": "BadRequestError", "code": 400},
]


@pytest.mark.parametrize("body", DEVELOPER, ids=range(len(DEVELOPER)))
def test_instructions_of_a_developer_are_the_systems_where_the_model_does_not_know_the_role(body: Any) -> None:
    history = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi."}]
    with serve(without("developer", body, 400, whole("Yes."), whole("Again."))) as server:
        agent = Agent(OpenAIBackend("m", base_url=server.url, max_retries=0))
        first = agent.run("Now?", messages=history)
        assert first.output == "Yes."
        assert first.messages[0]["role"] == "developer"
        assert agent.run("And now?", messages=first.messages).output == "Again."
    asked = [request.body["messages"] for request in server.requests]
    assert len(asked) == 3  # one was refused
    assert asked[1][0] == {"role": "system", "content": "Be brief."}
    assert asked[2][: len(asked[1])] == asked[1]


SYSTEM = [
    # vllm-project/vllm#2964, huggingface/chat-ui#1386, sgl-project/sglang#892, vllm-project/guidellm#67
    (400, {"object": "error", "message": "System role not supported", "type": "BadRequestError", "code": 400}),
    (500, {"error": {"code": 500, "message": "System role not supported at row 1, column 1", "type": "server_error"}}),
    # QuantumNous/new-api#989, CherryHQ/cherry-studio#3247
    (400, [{"error": {"code": 400, "message": "Developer instruction is not enabled for models/gemma-3-27b-it"}}]),
    (
        400,
        error(
            "Provider returned error",
            metadata={"raw": '{"error": {"message": "Developer instruction is not enabled for models/gemma-3-4b-it"}}'},
        ),
    ),
    # tailcallhq/forgecode#1177
    (400, error("Unsupported value: 'messages[0].role' does not support 'system' with this model.")),
    # anthropics/claude-code#61412
    (400, error("role 'system' is not supported on this model")),
]


@pytest.mark.parametrize(("status", "body"), SYSTEM, ids=range(len(SYSTEM)))
def test_instructions_stand_in_the_question_of_a_model_that_takes_none(status: int, body: Any) -> None:
    replies = (calls(("look", {"city": "Oslo"})), whole("It is 21."), whole("Fine."))
    with serve(without("system", body, status, *replies)) as server:
        agent = Agent(
            OpenAIBackend("m", base_url=server.url, max_retries=0), tools=[look], instructions="Answer in one line."
        )
        first = agent.run("Oslo?")
        assert first.output == "It is 21."
        assert first.messages[0]["role"] == "system"
        assert agent.run("Sure?", messages=first.messages).output == "Fine."
    asked = [request.body["messages"] for request in server.requests]
    assert len(asked) == 4  # one was refused
    assert asked[1] == [{"role": "user", "content": "Answer in one line.\n\nOslo?"}]
    assert [each["role"] for each in asked[3]] == ["user", "assistant", "tool", "assistant", "user"]
    assert asked[3][:3] == asked[2]
    for messages in asked:
        assert faults_of_request(messages) == []


def test_a_model_that_takes_neither_role_gets_the_instructions_with_the_question() -> None:
    gemma = {"error": {"code": 400, "message": "Developer instruction is not enabled for models/gemma-3-27b-it"}}

    def answer(asked: Asked) -> Answer:
        role = asked.body["messages"][0]["role"]
        return whole("Yes.") if role == "user" else Answer(json.dumps(gemma).encode(), 400)

    history = [{"role": "developer", "content": "Be brief."}]
    with serve(answer) as server:
        agent = Agent(OpenAIBackend("m", base_url=server.url, max_retries=0))
        assert agent.run("Now?", messages=history).output == "Yes."
    assert server.requests[-1].body["messages"] == [{"role": "user", "content": "Be brief.\n\nNow?"}]


@pytest.mark.parametrize(
    "words", ["This model does not support the system_fingerprint field", "Invalid API key", "Unexpected message role."]
)
def test_other_refusals_leave_the_instructions_where_they_are(words: str) -> None:
    with serve([Answer(json.dumps(error(words)).encode(), 400)]) as server:
        agent = Agent(OpenAIBackend("m", base_url=server.url, max_retries=0), instructions="Be brief.")
        with pytest.raises(openai.BadRequestError):
            agent.run("Now?")
    assert len(server.requests) == 1
