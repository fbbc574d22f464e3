"""What users of other OpenAI-compatible gateways have reported, tried on this service."""

import json
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.serving.http.test_client_tools import WEATHER, user
from tests.support.http_service import LOOK_UP, Service, serve_http, settings_for
from tests.support.model_server import Answer, Asked, calls, delta, serve, streamed, whole
from tests.support.scripted_agent import agent


class Person(BaseModel):
    name: str


def client_of(service: Service) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0)


def test_a_mixed_reply_runs_the_servers_call_and_leaves_the_clients_alone(tmp_path: Path) -> None:
    """BerriAI/litellm#37031: the gateway answered calls of the client's tools itself, with an error."""
    both = calls(("look_up", {"topic": "tides"}), ("weather", {"city": "Rome"}))
    with agent(tmp_path, [both], agentkit_tools=(LOOK_UP,)) as (service, _):
        message = (
            client_of(service)
            .chat.completions.create(model="agentkit", messages=[user("x")], tools=[WEATHER])  # type: ignore[list-item]
            .choices[0]
            .message
        )
        assert [call.function.name for call in message.tool_calls or () if call.type == "function"] == ["weather"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_call_ends_with_tool_calls_whole_and_streamed(stream: bool, tmp_path: Path) -> None:
    """googleapis/python-genai#2868: streamed calls ended with "stop"; su-kaka/gcli2api#403: each chunk did."""
    with agent(tmp_path, [calls(("weather", {"city": "Rome"}))]) as (service, _):
        body = {"model": "agentkit", "messages": [user("x")], "tools": [WEATHER], "stream": stream}
        response = service.ask("POST", "/v1/chat/completions", body)
        lines = response.text.splitlines() if stream else [f"data: {response.text}"]
        found = [json.loads(line[6:])["choices"][0] for line in lines if line.startswith("data: {")]
        assert [each["finish_reason"] for each in found] == [None] * (len(found) - 1) + ["tool_calls"]


def test_a_server_that_does_not_know_json_schema_still_gives_json(tmp_path: Path) -> None:
    """ikawrakow/ik_llama.cpp#778: an error for the type json_schema."""

    def answer(asked: Asked) -> Answer:
        if "response_format" in asked.body:
            text = 'response_format type must be one of "text" or "json_object", but got: json_schema'
            return Answer(json.dumps({"error": {"message": text}}).encode(), status=400)  # a 500 is retried
        text = '{"name": "Ann"}' if "schema" in str(asked.body["messages"]) else "Her name is Ann."
        return streamed(delta(content=text), delta("stop")) if asked.body["stream"] else whole(text)

    with serve(answer) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        made = client_of(service).chat.completions.parse(
            model="agentkit",
            messages=[user("Who?")],  # type: ignore[list-item]
            response_format=Person,
        )
        assert made.choices[0].message.parsed == Person(name="Ann")


def test_a_server_that_ignores_the_schema_is_asked_again(tmp_path: Path) -> None:
    """ggml-org/llama.cpp#24097, ROCm/FastFlowLM#554, router-for-me/CLIProxyAPI#5533: a 200 with prose."""
    answers = [whole("Her name is Ann."), whole('```json\n{"name": "Ann"}\n```')]
    with agent(tmp_path, answers) as (service, _):
        made = client_of(service).chat.completions.parse(
            model="agentkit",
            messages=[user("Who?")],  # type: ignore[list-item]
            response_format=Person,
        )
        assert made.choices[0].message.parsed == Person(name="Ann")


def test_a_schema_does_not_keep_the_model_from_calling_tools(tmp_path: Path) -> None:
    """openai/openai-agents-python#3709: vLLM applies the schema to the first reply, and no tool is ever called."""
    answers = [calls(("look_up", {"topic": "tides"})), calls(("final_answer", {"name": "Ann"}))]
    with agent(tmp_path, answers, agentkit_tools=(LOOK_UP,)) as (service, server):
        made = client_of(service).chat.completions.parse(
            model="agentkit",
            messages=[user("Who?")],  # type: ignore[list-item]
            response_format=Person,
        )
        assert made.choices[0].message.parsed == Person(name="Ann")
        assert all("response_format" not in asked.body for asked in server.requests)


def test_a_named_choice_is_kept_by_servers_that_only_know_texts(tmp_path: Path) -> None:
    """ggml-org/llama.cpp#26535: taken as "auto"; trailhq/Graft#27: LM Studio answers 400."""
    other = {"type": "function", "function": {"name": "time"}}
    with agent(tmp_path, [calls(("weather", {"city": "Rome"}))]) as (service, server):
        choice = {"type": "function", "function": {"name": "weather"}}
        body = {"model": "agentkit", "messages": [user("x")], "tools": [WEATHER, other], "tool_choice": choice}
        assert service.ask("POST", "/v1/chat/completions", body).status_code == 200
        sent = server.requests[0].body
        assert (sent["tool_choice"], len(sent["tools"])) == ("required", 1)


def test_fields_of_the_model_server_need_no_second_extra_body(tmp_path: Path) -> None:
    """BerriAI/litellm#18039: `thinking` was a 400 unless nested twice."""
    with agent(tmp_path, [whole("Hi")]) as (service, server):
        client_of(service).chat.completions.create(
            model="agentkit",
            messages=[user("x")],  # type: ignore[list-item]
            extra_body={"thinking": {"type": "disabled"}},
        )
        assert server.requests[0].body["thinking"] == {"type": "disabled"}


def test_contents_may_be_lists_and_limits_null(tmp_path: Path) -> None:
    """qualcomm/GenieX#683: lists of parts were a 400; abetlen/llama-cpp-python#187: max_tokens null was a 422."""
    parts = [{"type": "text", "text": "Only emoji."}]
    with agent(tmp_path, [whole("Hi")]) as (service, server):
        messages = [{"role": "system", "content": parts}, {"role": "user", "content": parts}]
        body = {"model": "agentkit", "messages": messages, "max_tokens": None}
        assert service.ask("POST", "/v1/chat/completions", body).status_code == 200
        assert [each["role"] for each in server.requests[0].body["messages"]] == ["system", "user"]


@pytest.mark.parametrize("wants", [False, True], ids=["without", "with"])
def test_only_who_asks_for_the_usage_gets_a_chunk_without_choices(wants: bool, tmp_path: Path) -> None:
    """cline/cline#8384: clients crash at a chunk without choices; ollama/ollama#4448: others wait for it."""
    with agent(tmp_path, [streamed(delta(content="Hi"), delta("stop"))]) as (service, _):
        body = {"model": "agentkit", "messages": [user("x")], "stream": True}
        body |= {"stream_options": {"include_usage": True}} if wants else {}
        response = service.ask("POST", "/v1/chat/completions", body)
        found = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
        assert [not each["choices"] for each in found].count(True) == int(wants)
        assert ("usage" in found[0]) is wants


def test_with_tools_a_stream_has_the_reasoning_and_the_answer(tmp_path: Path) -> None:
    """Blaizzy/mlx-vlm#1850: with tools everything was reasoning; openai-php/client#780: reasoning was lost."""
    thoughts = [delta(reasoning_content="Hm. "), delta(reasoning_content="391")]
    answer = streamed(*thoughts, delta(content="391"), delta("stop"))
    with agent(tmp_path, [answer]) as (service, _):
        body: Any = {"model": "agentkit", "messages": [user("x")], "tools": [WEATHER], "stream": True}
        deltas = [each["choices"][0]["delta"] for each in service_frames(service, body)]
        assert "".join(each.get("reasoning_content", "") for each in deltas) == "Hm. 391"
        assert "".join(each.get("content", "") for each in deltas) == "391"


def service_frames(service: Service, body: Any) -> list[Any]:
    text = service.ask("POST", "/v1/chat/completions", body).text
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def test_after_a_broken_stream_nothing_is_doubled(tmp_path: Path) -> None:
    """A reply that breaks off is asked for again: what was sent of it is not sent twice."""
    pieces = [delta(reasoning_content="Hm."), *(delta(content=f"word{number} ") for number in range(4))]
    answers = [streamed(*pieces[:3], done=False, cut=True), streamed(*pieces, delta("stop"))]
    with agent(tmp_path, answers) as (service, server):
        deltas = [
            each["choices"][0]["delta"]
            for each in service_frames(service, {"model": "agentkit", "messages": [user("x")], "stream": True})
        ]
        assert len(server.requests) == 2
        assert "".join(each.get("content", "") for each in deltas) == "word0 word1 word2 word3"
        assert "".join(each.get("reasoning_content", "") for each in deltas) == "Hm."


def test_a_field_that_the_backend_can_not_send_is_a_400_that_names_it(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "http://127.0.0.1:1", agentkit_model="lightllm:Qwen3-8B@http://127.0.0.1:1")
    with serve_http(settings) as service:
        body = {"model": "agentkit", "messages": [user("x")], "temperature": 0.1, "logprobs": True, "seed": 1}
        response = service.ask("POST", "/v1/chat/completions", body)
        assert (response.status_code, response.json()["error"]["param"]) == (400, "logprobs")


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        pytest.param({}, (False, {"enable_thinking": False}), id="the service's"),
        pytest.param({"reasoning_effort": "high"}, (None, None), id="effort"),
        pytest.param(
            {"chat_template_kwargs": {"enable_thinking": True}}, (None, {"enable_thinking": True}), id="kwargs"
        ),
        pytest.param({"enable_thinking": True}, (True, None), id="a field"),
    ],
)
def test_a_client_that_says_how_to_think_is_not_contradicted(fields: Any, sent: Any, tmp_path: Path) -> None:
    """The service's own setting (LLM_SKIP_THINKING) would take the effect from what the client asks for."""
    with agent(tmp_path, [whole("Hi")]) as (service, server):
        body = {"model": "agentkit", "messages": [user("x")], **fields}
        assert service.ask("POST", "/v1/chat/completions", body).status_code == 200
        found = server.requests[0].body
        assert (found.get("enable_thinking"), found.get("chat_template_kwargs")) == sent


def test_log_probabilities_of_all_chunks_come_back(tmp_path: Path) -> None:
    def piece(text: str) -> dict[str, Any]:
        made = delta(content=text)
        made["choices"][0]["logprobs"] = {"content": [{"token": text, "logprob": -1.0}], "refusal": None}
        return made

    with agent(tmp_path, [streamed(piece("Hel"), piece("lo"), delta("stop"))]) as (service, _):
        body = {"model": "agentkit", "messages": [user("x")], "logprobs": True}
        (choice,) = service.ask("POST", "/v1/chat/completions", body).json()["choices"]
        assert [each["token"] for each in choice["logprobs"]["content"]] == ["Hel", "lo"]
