"""More of what users of other OpenAI-compatible gateways have reported, tried on this service."""

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.serving.http.test_client_tools import WEATHER, user
from tests.support.http_service import LOOK_UP, Service
from tests.support.model_server import Answer, Asked, calls, delta, streamed, whole
from tests.support.scripted_agent import agent

CALL = {"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
LIMITED: dict[str, Any] = {"agentkit_tools": (LOOK_UP,), "llm_max_tokens": 77}
OUTPUT = {"type": "function_call_output", "call_id": "a", "output": "sun"}


def client_of(service: Service) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0)


def item(call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "weather", "arguments": "{}"}


@pytest.mark.parametrize(
    ("path", "body", "roles"),
    [
        pytest.param(
            "chat/completions",
            {
                "messages": [
                    user("x"),
                    {"role": "assistant", "content": None, "tool_calls": [CALL]},
                    {"role": "tool", "tool_call_id": "a", "content": "sun"},
                ]
            },
            ["user", "assistant", "tool"],
            id="open-webui/open-webui#12441: content null beside calls was a 400",
        ),
        pytest.param(
            "responses",
            {"input": [user("x"), item("a"), {**OUTPUT, "output": [{"type": "output_text", "text": "sun"}]}]},
            ["user", "assistant", "tool"],
            id="ggml-org/llama.cpp#23553: output_text in the output of a call was a 400",
        ),
        pytest.param(
            "responses",
            {
                "store": False,
                "include": ["reasoning.encrypted_content"],
                "input": [
                    user("x"),
                    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
                    {"role": "assistant", "content": "y"},
                    user("z"),
                ],
            },
            ["user", "assistant", "user"],
            id="maximhq/bifrost#5410: encrypted reasoning of an unstored response was not found",
        ),
        pytest.param(
            "responses",
            {"input": [user("x"), item("a"), item("b"), OUTPUT, {**OUTPUT, "call_id": "b"}]},
            ["user", "assistant", "tool", "tool"],
            id="BerriAI/litellm#22578: parallel calls became a message each, and results were not matched",
        ),
        pytest.param(
            "chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}], "max_completion_tokens": 5},
            ["user"],
            id="voideditor/void#128: max_completion_tokens was not permitted",
        ),
    ],
)
def test_what_others_refuse_is_answered(path: str, body: Any, roles: list[str], tmp_path: Path) -> None:
    with agent(tmp_path, [whole("Hi")]) as (service, server):
        response = service.ask("POST", f"/v1/{path}", {"model": "agentkit", **body})
        assert response.status_code == 200, response.text
        sent = server.requests[0].body
        assert [message["role"] for message in sent["messages"]] == roles
        assert sent.get("max_tokens") == body.get("max_completion_tokens")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            streamed({"error": {"message": "queue full", "code": 400}}),
            id="BerriAI/litellm#40578: an error in the stream became an empty answer",
        ),
        pytest.param(
            Answer(b'{"error": {"message": "queue full", "code": 400}}'),
            id="mnfst/llm-gateway#1878: an error with status 200 was an answer",
        ),
        pytest.param(
            streamed(delta(content="Hi"), {"error": {"message": "queue full", "code": 400}}),
            id="open-webui/open-webui#29628, BerriAI/litellm#39748: a stream that failed ended like any other",
        ),
    ],
)
def test_no_failure_looks_like_an_answer(answer: Answer, tmp_path: Path) -> None:
    with agent(tmp_path, [answer]) as (service, _):
        for stream in (False, True):
            with pytest.raises(openai.APIError, match="queue full"):
                complete(service, stream)


def complete(service: Service, stream: bool) -> None:
    messages: Any = [user("x")]
    list(client_of(service).chat.completions.create(model="agentkit", messages=messages, stream=stream))


def test_log_probabilities_come_with_tools_in_a_stream(tmp_path: Path) -> None:
    """am17an/llama.cpp#35: a 400 for logprobs with tools and stream, where each two of them are taken."""
    made = json.loads(whole("Hi").body)
    made["choices"][0]["logprobs"] = {"content": [{"token": "Hi", "logprob": -1.0}]}

    def answer(asked: Asked) -> Answer:
        if asked.body["stream"]:
            error = {"code": 400, "message": "logprobs is not supported with tools + stream"}
            return Answer(json.dumps({"error": error}).encode(), status=400)
        return Answer(json.dumps(made).encode())

    with agent(tmp_path, answer) as (service, _):
        body = {"model": "agentkit", "messages": [user("x")], "tools": [WEATHER], "logprobs": True, "stream": True}
        last = service.ask("POST", "/v1/chat/completions", body).text.split("data: ")[-2]
        assert json.loads(last)["choices"][0]["logprobs"]["content"][0]["token"] == "Hi"


def test_streamed_calls_have_all_that_their_readers_need(tmp_path: Path) -> None:
    """ollama/ollama#7881 (no index), vllm-project/vllm#16340 (no type), BerriAI/liteLLM-proxy#19 (no finish_reason)."""
    both = calls(("weather", {"city": "Rome"}), ("weather", {"city": "Oslo"}))
    with agent(tmp_path, [both]) as (service, _):
        with client_of(service).chat.completions.stream(
            model="agentkit",
            messages=[user("x")],  # type: ignore[list-item]
            tools=[WEATHER],  # type: ignore[list-item]
        ) as stream:
            chunks = [event.chunk.to_dict() for event in stream if event.type == "chunk"]
            final = stream.get_final_completion().choices[0].message.tool_calls or ()
        assert [call.function.arguments for call in final] == ['{"city": "Rome"}', '{"city": "Oslo"}']
        choices: Any = [choice for chunk in chunks for choice in chunk["choices"]]  # type: ignore[attr-defined]
        assert all("finish_reason" in choice for choice in choices)
        written = [call for choice in choices for call in choice["delta"].get("tool_calls", ())]
        assert [(call["index"], call["type"]) for call in written] == [(0, "function"), (1, "function")]


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        pytest.param(
            "embeddings",
            {"input": "x", "encoding_format": "base64"},
            Answer(b'{"data": [{"embedding": "AAAAPw==", "index": 0}], "model": "agentkit"}'),
            id="lmstudio-ai/lmstudio-bug-tracker#756: base64 was ignored",
        ),
        pytest.param(
            "completions",
            {"prompt": ["x", "y"], "stream": True, "stream_options": {"include_usage": True}},
            streamed({"choices": [], "usage": {"prompt_tokens": 1}}),
            id="ogx-ai/ogx#6541: the usage of a streamed completion was lost",
        ),
        pytest.param(
            "completions",
            {"prompt": "x", "best_of": 2, "n": 2, "echo": True},
            Answer(b'{"choices": []}'),
            id="kekzl/imp#1598: best_of was ignored",
        ),
    ],
)
def test_what_is_passed_through_is_whole(path: str, body: Any, answer: Answer, tmp_path: Path) -> None:
    with agent(tmp_path, [answer]) as (service, server):
        response = service.ask("POST", f"/v1/{path}", {"model": "agentkit", **body})
        assert body.items() <= server.requests[0].body.items()
        assert response.content.replace(b" ", b"") == answer.body.replace(b" ", b"")


def test_an_empty_list_of_tools_says_nothing(tmp_path: Path) -> None:
    """baptisteArno/typebot.io#1205: "[] is too short"; clients that always send the field get the service's tools."""
    with agent(tmp_path, [whole("Hi")], **LIMITED) as (service, server):
        for path, asked in (("chat/completions", {"messages": [user("x")]}), ("responses", {"input": "x"})):
            body = {"model": "agentkit", **asked, "tools": []}
            assert service.ask("POST", f"/v1/{path}", body).status_code == 200
        assert [[each["function"]["name"] for each in asked.body["tools"]] for asked in server.requests] == [
            ["look_up"],
            ["look_up"],
        ]


@pytest.mark.parametrize(("settings", "limit"), [({}, None), (LIMITED, 77)], ids=["not set", "set"])
def test_an_answer_has_no_limit_that_nobody_has_set(settings: Any, limit: int | None, tmp_path: Path) -> None:
    """A default of the service would cut answers that are whole where the model server is asked directly."""
    with agent(tmp_path, [whole("Hi")], **settings) as (service, server):
        service.ask("POST", "/v1/chat/completions", {"model": "agentkit", "messages": [user("x")]})
        service.ask("POST", "/v1/responses", {"model": "agentkit", "input": "x"})
        assert [asked.body.get("max_tokens") for asked in server.requests] == [limit, limit]


def test_half_a_character_does_not_fail_a_whole_answer(tmp_path: Path) -> None:
    """Models that are cut off within an emoji end in half a surrogate pair, which UTF-8 can't have."""
    with agent(tmp_path, [whole("a\ud83d")]) as (service, _):
        body = {"model": "agentkit", "messages": [user("x")]}
        made = service.ask("POST", "/v1/chat/completions", body).json()
        assert made["choices"][0]["message"]["content"] == "a\ufffd"
        tool = {"type": "custom", "name": "x", "format": {"type": "\ud83d"}}
        response = service.ask("POST", "/v1/responses", {"model": "agentkit", "input": "x", "tools": [tool]})
        assert response.json()["output"][0]["content"][0]["text"] == "a\ufffd"
