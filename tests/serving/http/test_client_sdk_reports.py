"""Public reports about SDKs that failed at servers which speak nearly OpenAI's API: what the model server of a service
sends in its own form reaches the SDKs in OpenAI's."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.serving.http.test_client_tools import WEATHER, user
from tests.support.http_service import Service
from tests.support.model_server import Answer, delta, streamed, whole
from tests.support.scripted_agent import agent

CHAT = "/v1/chat/completions"
ASKED = {"model": "agentkit", "messages": [user("Weather in Rome?")]}
ARGUMENTS = '{"city": "Rome"}'


def call(**fields: Any) -> dict[str, Any]:
    return delta(tool_calls=[{"index": 0, **fields}])


def choices_of(service: Service, **fields: Any) -> list[Any]:
    """The choices of a stream."""
    response = service.ask("POST", CHAT, {**ASKED, "stream": True, **fields}, stream=True)
    lines = [line[6:] for line in response.iter_lines() if line.startswith(b"data: ")]
    assert lines[-1] == b"[DONE]"
    return [choice for line in lines[:-1] for choice in json.loads(line)["choices"]]


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(
            [
                call(id="c", function={"arguments": '{"city": '}),
                call(function={"name": "weather", "arguments": '"Rome"}'}),
                delta("tool_calls"),
            ],
            id="vercel/ai#14722: the name comes after the first arguments",
        ),
        pytest.param(
            [
                call(id="c", type="function", function={"name": "", "arguments": ""}),
                call(function={"name": "weather", "arguments": ARGUMENTS}),
                delta("tool_calls"),
            ],
            id="vercel/ai#16507: the name is empty at first",
        ),
        pytest.param(
            [
                call(id="c", function={"name": "weather", "arguments": ARGUMENTS}),
                call(type="function", function={}),
                delta("tool_calls"),
            ],
            id="vercel/ai#5350: the type comes after the arguments",
        ),
        pytest.param(
            [call(function={"name": "weather", "arguments": ARGUMENTS}), delta("tool_calls")],
            id="SillyTavern/SillyTavern#3931: a call without an id",
        ),
        pytest.param(
            [call(id="c", function={"name": "weather", "arguments": ARGUMENTS}), delta("tool_call")],
            id="ml-explore/mlx-lm#782: tool_call instead of tool_calls",
        ),
        pytest.param(
            [call(id="c", function={"name": "weather", "arguments": ARGUMENTS})],
            id="earendil-works/pi#6225: no finish_reason after a call",
        ),
    ],
)
def test_a_call_reaches_the_client_whole(tmp_path: Path, chunks: list[Any]) -> None:
    with agent(tmp_path, [streamed(*chunks)]) as (service, _):
        choices = choices_of(service, tools=[WEATHER])
        (answer,) = service.ask("POST", CHAT, {**ASKED, "tools": [WEATHER]}).json()["choices"]
    (made,) = [made for choice in choices for made in choice["delta"].get("tool_calls", [])]
    assert made["id"]
    assert made["index"] == 0
    assert (made["type"], made["function"]) == ("function", {"name": "weather", "arguments": ARGUMENTS})
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["tool_calls"]
    assert answer["finish_reason"] == "tool_calls"
    assert [each["function"] for each in answer["message"]["tool_calls"]] == [made["function"]]


def test_a_stream_says_how_it_ended(tmp_path: Path) -> None:
    """openai/openai-node#1292: the SDK raises "missing finish_reason for choice 0"."""
    with agent(tmp_path, [streamed(delta(role="assistant", content="It is hot."))]) as (service, _):
        choices = choices_of(service)
    assert "".join(choice["delta"].get("content") or "" for choice in choices) == "It is hot."
    assert choices[-1]["finish_reason"] == "stop"


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "response", "strict": True, "schema": SCHEMA}}


@pytest.mark.parametrize("in_pieces", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "texts",
    [
        pytest.param([f"```json\n{ARGUMENTS}\n```"], id="vercel/ai#12491: JSON in a code fence"),
        pytest.param([f"Here you are:\n{{}}\n{ARGUMENTS}!", ARGUMENTS], id="vercel/ai#9422: JSON in prose"),
    ],
)
def test_what_a_client_parses_is_json_of_its_schema(tmp_path: Path, texts: list[str], in_pieces: bool) -> None:
    script: list[Answer] = [
        streamed(delta(content=text), delta("stop")) if in_pieces else whole(text) for text in texts
    ]
    with agent(tmp_path, script) as (service, _):
        if in_pieces:
            choices = choices_of(service, response_format=FORMAT)
            text = "".join(choice["delta"].get("content") or "" for choice in choices)
        else:
            answer = service.ask("POST", CHAT, {**ASKED, "response_format": FORMAT}).json()
            text = answer["choices"][0]["message"]["content"]
    assert json.loads(text) == {"city": "Rome"}


def test_json_of_another_schema_is_asked_for_again(tmp_path: Path) -> None:
    """vercel/ai#10730: AI_NoObjectGeneratedError where a model does not keep to the schema."""
    with agent(tmp_path, [whole('{"town": "Rome"}'), whole(ARGUMENTS)]) as (service, server):
        answer = service.ask("POST", CHAT, {**ASKED, "response_format": FORMAT}).json()
    assert json.loads(answer["choices"][0]["message"]["content"]) == {"city": "Rome"}
    assert len(server.requests) == 2


def parts(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


def asked_and_called(call_id: str | None) -> dict[str, Any]:
    function = {"name": "weather", "arguments": ARGUMENTS}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(
            [user("Weather?"), asked_and_called(None), {"role": "tool", "tool_call_id": None, "content": "Hot"}],
            id="sigoden/aichat#1296: no id for a call and its result",
        ),
        pytest.param(
            [
                user("Weather?"),
                {**asked_and_called("c"), "content": parts("I ask.")},
                {"role": "tool", "tool_call_id": "c", "content": parts("Hot")},
            ],
            id="strands-agents/harness-sdk#215: a result in parts",
        ),
        pytest.param(
            [
                {"role": "system", "content": parts("Be brief.")},
                {"role": "user", "content": parts("Weather") + parts("in Rome?")},
                {"role": "assistant", "content": parts("Which Rome?")},
                {"role": "user", "content": parts("In Italy.")},
            ],
            id="huggingface/smolagents#583: each text in parts",
        ),
        pytest.param(
            [user("Weather?"), asked_and_called("c"), {"role": "system", "content": "You are the meteorologist."}],
            id="openai/openai-agents-js#42: a handoff without its result",
        ),
        pytest.param(
            [
                user("Weather?"),
                asked_and_called("c"),
                {"role": "tool", "tool_call_id": "c", "content": "Hot"},
                user("You are the meteorologist."),
            ],
            id="LibreChat-AI/agents#54: a user's message behind a result",
        ),
    ],
)
def test_histories_are_taken_as_agents_write_them(history: list[dict[str, Any]], tmp_path: Path) -> None:
    with agent(tmp_path, [whole("It is hot.")]) as (service, server):
        response = service.ask("POST", CHAT, {"model": "agentkit", "messages": history, "tools": [WEATHER]})
        assert response.status_code == 200, response.text
        sent = server.requests[-1].body["messages"]
        called = [call["id"] for message in sent for call in message.get("tool_calls", ())]
        assert called == [message["tool_call_id"] for message in sent if message["role"] == "tool"]
        assert all(called)
