"""The loopback LightLLM server is as strict as the real one."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.lightllm_server import LightLLMServer, Says, serve_lightllm

SHARED = Path(__file__).parents[3] / "shared" / "cases" / "lightllm-wire-samples.jsonl"
PARAMETERS = {"do_sample": True, "temperature": 0.6, "max_new_tokens": 64}
PAD = "<|vision_start|><|image_pad|><|vision_end|>"
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\x00" * 16).decode()
PICTURE = {"type": "base64", "data": PIXEL}


@pytest.fixture(scope="module")
def server() -> Iterator[LightLLMServer]:
    with serve_lightllm(["one two three"], max_model_len=2048) as running:
        yield running


def post(server: LightLLMServer, path: str, body: Any) -> requests.Response:
    data = body if isinstance(body, str) else json.dumps(body)
    return requests.post(server.url + path, data=data, timeout=10)


def generate(server: LightLLMServer, **parameters: Any) -> requests.Response:
    return post(server, "/generate", {"inputs": "x", "parameters": {**PARAMETERS, **parameters}})


def frames_of(response: requests.Response) -> list[dict[str, Any]]:
    return [json.loads(line[5:]) for line in response.text.splitlines() if line.startswith("data:")]


def test_a_complete_response_has_the_form_of_the_real_one(server: LightLLMServer) -> None:
    response = generate(server)
    assert response.status_code == 200
    assert "content-type" not in response.headers
    answer = response.json()
    assert answer["generated_text"] == ["one two three"]
    assert (answer["count_output_tokens"], answer["finish_reason"]) == (4, "stop")


def test_several_results_come_as_lists(server: LightLLMServer) -> None:
    answer = generate(server, best_of=2, n=2).json()
    assert answer["generated_text"] == ["one two three"] * 2
    assert answer["finish_reason"] == ["stop", "stop"]


def test_slashes_are_escaped_in_the_raw_body() -> None:
    with serve_lightllm(["<tool_call>\n{}\n</tool_call>"]) as server:
        response = generate(server)
    assert b"<\\/tool_call>" in response.content
    assert response.json()["generated_text"] == ["<tool_call>\n{}\n</tool_call>"]


@pytest.mark.parametrize(
    ("parameters", "status", "message"),
    [
        ({"temperature": -1}, 400, "temperature must > 0.0, got -1.0"),
        ({"temperature": 0}, 400, "temperature must > 0.0, got 0.0"),
        ({"temperature": "hot"}, 417, "must be real number, not str"),
        ({"top_p": 0}, 400, "top_p must be in (0.0, 1.0], got 0.0"),
        ({"top_k": 0}, 400, "top_k must be -1 (disable), or at least 1, got 0."),
        ({"top_k": 5.0}, 417, "'float' object cannot be interpreted as an integer"),
        ({"max_new_tokens": 0}, 400, "max_new_tokens must be at least 1 , got 0."),
        ({"max_new_tokens": None}, 417, "'NoneType' object cannot be interpreted as an integer"),
        ({"n": 2}, 400, "current only supported n == best_of"),
        ({"best_of": 9}, 400, "need 0 < best_of <= 8, but got 9"),
        ({"presence_penalty": -0.5}, 400, "presence_penalty must >= 0.0, got -0.5"),
        ({"repetition_penalty": 0.9}, 400, "repetition_penalty must >= 1.0, got 0.8999999761581421"),
        ({"stop_sequences": ["a"] * 11}, 417, "Too many stop sequence groups."),
        ({"stop_sequences": ["z" * 256]}, 417, "stop token length too long."),
        ({"guided_json": {"type": "object"}}, 417, "'dict' object has no attribute 'encode'"),
        ({"seed": -2}, 400, "seed must be -1 (random), or an integer in [0, 9223372036854775807], got -2"),
    ],
)
def test_a_value_out_of_range_is_refused(
    server: LightLLMServer, parameters: dict[str, Any], status: int, message: str
) -> None:
    response = generate(server, **parameters)
    assert response.status_code == status
    assert response.json()["error"]["message"] == message


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"inputs": "x"}, 417, "'parameters'"),
        ({"parameters": {}}, 417, "'inputs'"),
        ({"inputs": "", "parameters": {}}, 400, "prompt_ids is empty"),
        ('{"inputs": ', 400, "Expecting value: line 1 column 12 (char 11)"),
        ({"inputs": "x " * 3000, "parameters": {}}, 400, "the input prompt token len"),
        ({"inputs": "x" * 20000, "parameters": {}}, 400, "exceeds the character limit 16384"),
        ({"inputs": "x", "parameters": {}, "multimodal_params": None}, 417, "must be a mapping"),
        ({"inputs": "x", "parameters": {}, "multimodal_params": {"pictures": []}}, 417, "unexpected keyword"),
        ({"inputs": "x", "parameters": {}, "multimodal_params": {"images": [PICTURE]}}, 400, "invalid image tag"),
        ({"inputs": PAD, "parameters": {}}, 417, "list index out of range"),
        (
            {"inputs": PAD, "parameters": {}, "multimodal_params": {"images": [{"type": "base64", "data": "!!!"}]}},
            400,
            "Failed to read image",
        ),
        (
            {
                "inputs": PAD,
                "parameters": {},
                "multimodal_params": {"images": [{"type": "base64", "data": "data:image/png;base64," + PIXEL}]},
            },
            400,
            "Incorrect padding",
        ),
    ],
)
def test_a_malformed_request_is_refused(server: LightLLMServer, body: Any, status: int, message: str) -> None:
    response = post(server, "/generate", body)
    assert response.status_code == status
    assert message in response.json()["error"]["message"]


def test_an_image_with_its_placeholder_is_accepted(server: LightLLMServer) -> None:
    body = {"inputs": PAD, "parameters": {}, "multimodal_params": {"images": [PICTURE]}}
    assert post(server, "/generate", body).json()["input_usage"]["input_image_tokens"] == 64


def test_a_stream_ends_by_closing(server: LightLLMServer) -> None:
    response = post(server, "/generate_stream", {"inputs": "x", "parameters": PARAMETERS})
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.text.startswith('data:{"token"')
    assert "[DONE]" not in response.text
    told = frames_of(response)
    assert [frame["finished"] for frame in told] == [False, False, False, True]
    assert told[-1]["token"]["text"] == ""
    assert "".join(frame["token"]["text"] for frame in told) == "one two three"


def test_the_root_chooses_by_the_key_stream(server: LightLLMServer) -> None:
    body = {"inputs": "x", "parameters": PARAMETERS}
    assert "generated_text" in post(server, "/", body).json()
    assert post(server, "/", {**body, "stream": True}).text.startswith("data:")


def test_an_error_in_a_stream_comes_with_status_200(server: LightLLMServer) -> None:
    response = post(server, "/generate_stream", {"inputs": "x" * 20000, "parameters": {}})
    assert response.status_code == 200
    assert response.text.startswith('data: {"error"')


def test_best_of_is_refused_in_a_stream(server: LightLLMServer) -> None:
    body = {"inputs": "x", "parameters": {**PARAMETERS, "best_of": 2, "n": 2}}
    assert post(server, "/generate_stream", body).status_code == 417


def test_a_stop_string_stays_in_the_text(server: LightLLMServer) -> None:
    answer = generate(server, stop_sequences=["two"]).json()
    assert (answer["generated_text"], answer["finish_reason"]) == (["one two"], "stop")


def test_the_token_limit_is_kept(server: LightLLMServer) -> None:
    answer = generate(server, max_new_tokens=2).json()
    assert (answer["generated_text"], answer["finish_reason"]) == (["one two"], "length")


def test_unknown_keys_are_accepted_silently(server: LightLLMServer) -> None:
    assert generate(server, max_tokens=5, nonsense=None).status_code == 200


def test_tokens_are_counted(server: LightLLMServer) -> None:
    assert post(server, "/tokens", {"text": "hello there"}).json() == {"ntokens": 2}
    assert requests.get(server.url + "/tokens", params={"text": "hello there"}, timeout=10).json() == {"ntokens": 2}
    assert post(server, "/tokens", {}).status_code == 417


def test_the_information_pages_exist(server: LightLLMServer) -> None:
    def get(path: str) -> requests.Response:
        return requests.get(server.url + path, timeout=10)

    assert get("/v1/models").json()["data"][0]["id"] == "Qwen3-8B"
    assert get("/get_model_name").json() == {"model_name": "Qwen3-8B"}
    assert get("/health").json() == {"message": "Ok"}
    assert get("/nope").json() == {"detail": "Not Found"}
    assert get("/generate").status_code == 405


def test_failures_can_be_scripted() -> None:
    body = {"inputs": "x", "parameters": PARAMETERS}
    says = [Says(status=429, error="busy", headers={"retry-after": "1"}), Says("a b c", cut_after=2), Says(drop=True)]
    with serve_lightllm(says) as server:
        assert post(server, "/generate", body).headers["retry-after"] == "1"
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            post(server, "/generate_stream", body)
        with pytest.raises(requests.exceptions.ConnectionError):
            post(server, "/generate", body)


def test_the_chat_route_has_the_defects_of_the_real_one() -> None:
    tools = [{"type": "function", "function": {"name": "now"}}]
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": tools}
    call = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
    with serve_lightllm([f"{call}\n{call}"]) as server:
        message = post(server, "/v1/chat/completions", body).json()["choices"][0]["message"]
        assert [each["index"] for each in message["tool_calls"]] == [-1, -1]
        told = post(server, "/v1/chat/completions", {**body, "stream": True})
    assert told.text.rstrip().endswith("data: [DONE]")
    assert told.text.count('"name": "now"') == 1  # empty arguments lose every later call


def rows() -> list[Any]:
    if not SHARED.exists():
        return []
    told = [json.loads(line) for line in SHARED.read_text(encoding="utf-8").splitlines()]
    paths = ("/generate", "/generate_stream", "/tokens", "/v1/models", "/get_model_name", "/nope")
    return [pytest.param(row, id=row["name"]) for row in told if row["path"] in paths]


def comparable(body: str) -> Any:
    """A response without numbers that depend on the tokenizer, and without addresses."""
    body = re.sub(r" at 0x[0-9a-f]+", "", body)
    body = re.sub(r"\b\d+\b", "N", body)
    events = [line[5:] for line in body.splitlines() if line.startswith("data:")]
    if not events:
        return _bare(body)
    told = [_bare(event) for event in events]
    return "".join(each["token"]["text"] for each in told) if "token" in told[0] else told


def _bare(text: str) -> Any:
    value = json.loads(re.sub(r"\bN\b", "0", text).replace("-0", "0"))
    for key in ("logprobs", "input_usage", "tokens"):
        if isinstance(value, dict):
            value.pop(key, None)
    return value


@pytest.mark.parametrize("row", rows())
def test_it_answers_as_the_real_server_did(row: dict[str, Any]) -> None:
    says: Any = row["model_says"] or ""
    if row["name"].endswith("busy"):
        says = Says(status=429, error="Server is busy, please try again later (Status code: 429)")
    reason = re.search(r"-(abort|error)$", row["name"])
    if reason and isinstance(says, str):
        says = Says(says, finish_reason=reason.group(1))
    request: Any = row["request"]
    if isinstance(request, str) and request.startswith("(long"):
        request = {"inputs": "word " * 4000, "parameters": {}}
    with serve_lightllm([says], max_model_len=2048) as server:
        server.cache_capacity = 3 if row["name"] == "generate-too-many-images" else 200
        server.model = "default_model_name" if row["path"] == "/get_model_name" else "Qwen3-8B"
        if row["method"] == "GET":
            response = requests.get(server.url + row["path"], timeout=10)
        else:
            response = post(server, row["path"], request)
    assert response.status_code == row["status"]
    assert response.headers.get("content-type") == row["content_type"]
    assert comparable(response.content.decode()) == comparable(row["body"])
