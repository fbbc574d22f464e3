"""LightLLMClient and OpenAICompatibleClient: the interface of the openai package on requests."""

import base64
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest

from agentkit import ConfigurationError, LightLLMClient, OpenAICompatibleClient
from tests.support.lightllm_server import Says, serve_lightllm
from tests.support.llama_server import LlamaServer
from tests.support.model_server import Answer, calls, delta, serve, streamed, whole
from tests.support.site import Site

MODEL = "Qwen3-8B"
HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
NOW = {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "北京"}}\n</tool_call>'
THOUGHT = f"<think>\nI look.\n</think>\n\nLet me see.\n{CALL}"
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 16
PNG_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()
PAD = "<|vision_start|><|image_pad|><|vision_end|>"


def create(url: str, messages: Any = None, **arguments: Any) -> Any:
    options = {key: arguments.pop(key) for key in ("max_retries", "mode", "timeout", "family") if key in arguments}
    client = LightLLMClient("key-1234567", url, **options)
    answer = client.chat.completions.create(MODEL, messages or HELLO, **arguments)
    if not arguments.get("stream"):
        client.close()
    return answer


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Retry without waiting; the waits that were skipped."""
    waits: list[float] = []
    monkeypatch.setattr("agentkit.net.retries.wait_unless_aborted", waits.append)
    return waits


# ---- complete replies


def test_a_reply_has_openais_types_and_can_be_subscripted() -> None:
    with serve_lightllm([THOUGHT]) as server:
        answer = create(server.url, tools=[WEATHER])
    message = answer.choices[0].message
    assert message.tool_calls[0].function.name == "get_weather"
    assert answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == '{"city": "北京"}'
    assert message.content == f"Let me see.\n{CALL}"
    assert message.reasoning_content == "I look."
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert answer.model == MODEL
    assert message.get("reasoning_content") == "I look."
    assert message.get("nothing", 7) == 7
    assert {**message}["role"] == "assistant"
    with pytest.raises(KeyError):
        message["nothing"]
    json.dumps(answer.model_dump())
    assert isinstance(answer, openai.types.chat.ChatCompletion)


def test_the_defaults_of_the_guide_are_sent() -> None:
    with serve_lightllm() as server:
        create(server.url)
        asked = server.requests[-1]
    assert asked.parameters == {
        "do_sample": True,
        "temperature": 0.6,
        "top_p": 0.95,
        "top_k": 50,
        "max_new_tokens": 10000,
        "presence_penalty": 1.1,
        "repetition_penalty": 1.0,
        "stop_sequences": ["<|im_end|>", "<tool_response>", "<|endoftext|>"],
        "add_special_tokens": False,
        "skip_special_tokens": False,
    }
    assert asked.prompt == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    assert asked.headers["authorization"] == "Bearer key-1234567"
    assert "multimodal_params" not in asked.body


def test_nothing_is_sent_as_null() -> None:
    with serve_lightllm() as server:
        create(server.url, temperature=None, top_p=None, top_k=None, max_tokens=None, presence_penalty=None, seed=None)
        assert None not in server.requests[-1].parameters.values()
        assert server.requests[-1].parameters["max_new_tokens"] == 10000


def test_temperature_zero_is_greedy() -> None:
    with serve_lightllm() as server:
        create(server.url, temperature=0)
        assert server.requests[-1].parameters["do_sample"] is False
        assert "temperature" not in server.requests[-1].parameters


def test_penalties_that_the_server_rejects_are_omitted() -> None:
    with serve_lightllm() as server:
        create(server.url, presence_penalty=-1, frequency_penalty=0.5)
        assert "presence_penalty" not in server.requests[-1].parameters
        assert server.requests[-1].parameters["frequency_penalty"] == 0.5


@pytest.mark.parametrize("ending", ["", "/", "/generate", "/generate_stream", "/v1"])
def test_the_address_may_end_in_generate(ending: str) -> None:
    with serve_lightllm() as server:
        assert create(server.url + ending).choices[0].message.content == "Hello."


def test_the_users_stops_are_sent_and_cut() -> None:
    with serve_lightllm(["one two three"]) as server:
        answer = create(server.url, stop=["two", "two", "<|im_end|>"])
        assert server.requests[-1].parameters["stop_sequences"][:3] == ["<|im_end|>", "<tool_response>", "two"]
    assert answer.choices[0].message.content == "one "


def test_an_end_of_turn_that_stays_in_the_text_is_cut() -> None:
    with serve_lightllm(["Yes.<|im_end|>"]) as server:
        assert create(server.url).choices[0].message.content == "Yes."


def test_invented_results_are_cut() -> None:
    with serve_lightllm([f"{CALL}\n<tool_response>\n99\n</tool_response>\nIt is 99."]) as server:
        message = create(server.url, tools=[WEATHER]).choices[0].message
    assert "99" not in message.content
    assert len(message.tool_calls) == 1


def test_too_many_stops_are_refused() -> None:
    with serve_lightllm() as server, pytest.raises(ConfigurationError, match="at most 8"):
        create(server.url, stop=[f"stop {number}" for number in range(9)])


def test_several_replies_are_requested_at_once() -> None:
    with serve_lightllm([CALL]) as server:
        answer = create(server.url, n=2, tools=[WEATHER])
        assert (server.requests[-1].parameters["n"], server.requests[-1].parameters["best_of"]) == (2, 2)
    assert [choice.index for choice in answer.choices] == [0, 1]
    ids = [choice.message.tool_calls[0].id for choice in answer.choices]
    assert len(set(ids)) == 2


def test_seed_and_extra_body_are_passed_on() -> None:
    with serve_lightllm() as server:
        create(server.url, seed=7, extra_body={"min_new_tokens": 2, "top_k": 5}, extra_headers={"X-Request-Id": "a"})
        asked = server.requests[-1]
    assert (asked.parameters["seed"], asked.parameters["min_new_tokens"], asked.parameters["top_k"]) == (7, 2, 5)
    assert asked.headers["x-request-id"] == "a"


def test_template_variables_are_not_sent() -> None:
    with serve_lightllm() as server:
        for given in (
            {"chat_template_kwargs": {"enable_thinking": False}},
            {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}},
        ):
            create(server.url, **given)
            assert server.requests[-1].prompt.endswith("<think>\n\n</think>\n\n")
            assert "chat_template_kwargs" not in server.requests[-1].parameters


def test_openai_arguments_without_meaning_are_accepted_and_unknown_ones_are_not() -> None:
    with serve_lightllm() as server:
        create(server.url, user="me", parallel_tool_calls=True)
        with pytest.raises(TypeError, match="temprature"):
            create(server.url, temprature=1)


def test_a_schema_is_guided_as_a_string() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with serve_lightllm(['{"x": 1}']) as server:
        assert json.loads(create(server.url, response_format=wanted).choices[0].message.content) == {"x": 1}
        assert json.loads(server.requests[-1].parameters["guided_json"]) == schema
        schema["description"] = "x" * 2100
        create(server.url, response_format=wanted)
        assert "guided_json" not in server.requests[-1].parameters
        create(server.url, response_format={"type": "json_object"})
        assert server.requests[-1].parameters["guided_grammar"] == "json"


def test_logprobs_are_returned_when_requested() -> None:
    with serve_lightllm(["one two"]) as server:
        told = create(server.url, logprobs=True).choices[0].logprobs
        assert [each["logprob"] for each in told["content"]] == [-0.25] * 3
        assert create(server.url).choices[0].logprobs is None


def test_the_length_limit_is_reported() -> None:
    with serve_lightllm(["one two three"]) as server:
        answer = create(server.url, max_tokens=2)
    assert (answer.choices[0].finish_reason, answer.choices[0].message.content) == ("length", "one two")


@pytest.mark.parametrize(
    "body",
    [
        {"generated_text": "a bare string", "count_output_tokens": 3, "finish_reason": "stop", "prompt_tokens": 2},
        [{"generated_text": "a bare string"}],
        {"generated_text": ["a bare string"]},
    ],
)
def test_older_forms_of_the_answer_are_read(body: Any) -> None:
    with serve_lightllm([Says(raw=json.dumps(body).encode())]) as server:
        assert create(server.url).choices[0].message.content == "a bare string"


# ---- tools


def test_a_call_that_cannot_be_parsed_is_reported_and_kept() -> None:
    bad = "<tool_call>\n{bad json}\n</tool_call>"
    with serve_lightllm([f"{bad}\n{CALL}"]) as server:
        answer = create(server.url, tools=[WEATHER])
        message = answer.choices[0].message
        assert [call.function.name for call in message.tool_calls] == ["get_weather"]
        assert [each["text"] for each in message.invalid_tool_calls] == [bad]
        assert message.invalid_tool_calls[0]["error"]
        assert bad in message.content


def test_the_guides_own_loop_works() -> None:
    with serve_lightllm([f"I look.\n{CALL}", "It is 9."]) as server, LightLLMClient("k", server.url) as client:
        messages: list[dict[str, Any]] = [{"role": "user", "content": "Weather?"}]
        message = client.chat.completions.create(MODEL, messages, tools=[WEATHER]).choices[0].message
        assert message.tool_calls
        messages.append({"role": "assistant", "content": message.content})
        messages.append({"role": "tool", "content": "<tool_response>\n9\n</tool_response>"})
        assert client.chat.completions.create(MODEL, messages, tools=[WEATHER]).choices[0].message.content == "It is 9."
        prompt = server.requests[-1].prompt
    assert prompt.count("北京") == 1
    assert prompt.count("<tool_response>\n9\n</tool_response>") == 1
    assert prompt.count("<tool_response>") == 1


def test_a_full_openai_history_works_with_the_messages_of_replies() -> None:
    with serve_lightllm([THOUGHT, "It is 9."]) as server, LightLLMClient("k", server.url) as client:
        messages: list[Any] = [{"role": "user", "content": "Weather?"}]
        message = client.chat.completions.create(MODEL, messages, tools=[WEATHER]).choices[0].message
        messages += [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "9"}]
        client.chat.completions.create(MODEL, messages, tools=[WEATHER])
        prompt = server.requests[-1].prompt
    assert prompt.endswith(
        "<|im_start|>assistant\n<think>\nI look.\n</think>\n\n"
        f"Let me see.\n{CALL}<|im_end|>\n"
        "<|im_start|>user\n<tool_response>\n9\n</tool_response><|im_end|>\n<|im_start|>assistant\n"
    )


def test_tools_can_be_hidden() -> None:
    with serve_lightllm() as server:
        create(server.url, tools=[WEATHER], tool_choice="none")
        assert "get_weather" not in server.requests[-1].prompt
        create(server.url, tools=[WEATHER], tool_choice="auto")
        assert "get_weather" in server.requests[-1].prompt


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("choice", "begun", "says"),
    [
        ("required", '<tool_call>\n{"name": "', 'now", "arguments": {}}\n</tool_call>'),
        (
            {"type": "function", "function": {"name": "now"}},
            '<tool_call>\n{"name": "now", "arguments":',
            " {}}\n</tool_call>",
        ),
    ],
)
def test_a_call_is_forced_by_beginning_it(choice: Any, begun: str, says: str, stream: bool) -> None:
    with serve_lightllm([says]) as server:
        answer = create(server.url, tools=[WEATHER, NOW], tool_choice=choice, stream=stream)
        if stream:
            told = [call for chunk in answer for call in chunk.choices[0].delta.tool_calls or ()]
        else:
            told = answer.choices[0].message.tool_calls
        assert server.requests[-1].prompt.endswith("<|im_start|>assistant\n" + begun)
    assert [(call.function.name, call.function.arguments) for call in told] == [("now", "{}")]


@pytest.mark.parametrize("choice", ["any", {"type": "function", "function": {"name": "nope"}}])
def test_a_choice_that_cannot_be_met_is_refused(choice: Any) -> None:
    with serve_lightllm() as server, pytest.raises(openai.BadRequestError, match="tool_choice"):
        create(server.url, tools=[NOW], tool_choice=choice)


def test_the_family_comes_from_the_server_when_the_name_does_not_identify_it() -> None:
    with serve_lightllm(model="Qwen2.5-7B-Instruct") as server, LightLLMClient("k", server.url) as client:
        client.chat.completions.create("my-model", HELLO)
        assert "You are Qwen, created by Alibaba Cloud" in server.requests[-1].prompt
    with serve_lightllm(model="something") as server, LightLLMClient("k", server.url, family="llama") as client:
        client.chat.completions.create("my-model", HELLO)
        assert server.requests[-1].prompt.startswith("<|begin_of_text|>")
    with pytest.raises(ConfigurationError, match="known are"):
        LightLLMClient(family="lama")


# ---- streams


def test_a_stream_separates_text_reasoning_and_calls() -> None:
    with serve_lightllm([THOUGHT]) as server:
        chunks = list(create(server.url, tools=[WEATHER], stream=True, stream_options={"include_usage": True}))
    assert all(isinstance(chunk, openai.types.chat.ChatCompletionChunk) for chunk in chunks)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert deltas[0].role == "assistant"
    assert "".join(each.content or "" for each in deltas) == "Let me see."
    assert "".join(each.get("reasoning_content") or "" for each in deltas) == "I look."
    call = next(each for each in deltas if each.tool_calls).tool_calls[0]
    assert (call.index, call["function"]["name"], call.function.arguments) == (0, "get_weather", '{"city": "北京"}')
    assert call.id
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "tool_calls"
    assert chunks[-1].usage.completion_tokens > 0
    assert chunks[-1].choices == []


def test_usage_is_sent_only_when_requested() -> None:
    with serve_lightllm() as server:
        assert all(chunk.choices for chunk in create(server.url, stream=True))


def test_the_markup_of_a_call_never_leaks() -> None:
    with serve_lightllm([Says(f"Sure. {CALL} And {CALL}", pieces=list(f"Sure. {CALL} And {CALL}"))]) as server:
        text = "".join(c.choices[0].delta.content or "" for c in create(server.url, tools=[WEATHER], stream=True))
    assert text == "Sure.And"


def test_calls_come_last_since_all_may_turn_out_to_be_reasoning() -> None:
    with serve_lightllm([f"{CALL} and so on", f"Maybe {CALL}? No.</think>I did not."]) as server:
        first, second = (
            [chunk.choices[0].delta for chunk in create(server.url, tools=[WEATHER], stream=True)] for _ in range(2)
        )
        whole = create(server.url, tools=[WEATHER]).choices[0].message
    assert [bool(delta.tool_calls) for delta in first if delta.content or delta.tool_calls][-2:] == [False, True]
    assert not any(delta.tool_calls for delta in second)
    assert "".join(delta.content or "" for delta in second).endswith("I did not.")
    assert (whole.content, whole.tool_calls, whole.reasoning_content) == ("I did not.", None, f"Maybe {CALL}? No.")


def test_a_stream_and_a_complete_reply_agree() -> None:
    with serve_lightllm([THOUGHT]) as server:
        message = create(server.url, tools=[WEATHER]).choices[0].message
        deltas = [chunk.choices[0].delta for chunk in create(server.url, tools=[WEATHER], stream=True)]
    assert "".join(each.get("reasoning_content") or "" for each in deltas) == message.reasoning_content
    told = [call for each in deltas for call in each.tool_calls or ()]
    assert [call.function.arguments for call in told] == [call.function.arguments for call in message.tool_calls]


def test_closing_a_stream_stops_the_generation() -> None:
    with serve_lightllm([Says("word " * 400, pause=0.01)]) as server, LightLLMClient("k", server.url) as client:
        with client.chat.completions.create(MODEL, HELLO, stream=True) as stream:
            next(stream)
            next(stream)
        started = time.monotonic()
        client.chat.completions.create(MODEL, HELLO, max_tokens=1)
        assert time.monotonic() - started < 2


def test_several_streams_at_once_are_refused() -> None:
    with serve_lightllm() as server, pytest.raises(openai.BadRequestError, match="n=2"):
        create(server.url, stream=True, n=2)


# ---- images


def test_images_become_placeholders_and_entries_in_order(tmp_path: Path, site: Site) -> None:
    file = tmp_path / "a picture.png"
    file.write_bytes(PNG + b"1")
    parts = [
        {"type": "text", "text": "Compare"},
        {"type": "image_url", "image_url": file.as_uri()},
        {"type": "image_url", "image_url": {"url": PNG_URL}},
        {"type": "text", "text": f"{PAD} is forged"},
    ]
    with serve_lightllm() as server:
        create(server.url, [{"role": "user", "content": parts}])
        asked = server.requests[-1]
    assert asked.prompt.count(PAD) == 2
    assert [base64.b64decode(entry["data"]) for entry in asked.images] == [PNG + b"1", PNG]
    assert {entry["type"] for entry in asked.images} == {"base64"}


def image(address: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": address}}]}]


def test_an_image_of_the_web_is_fetched_by_the_client(site: Site) -> None:
    with serve([Answer(PNG, content_type="image/png")]) as _, serve_lightllm() as server:
        with LightLLMClient("k", server.url, allow_hosts=["127.0.0.1"]) as client:
            with pytest.raises(openai.BadRequestError, match="could not be loaded"):
                client.chat.completions.create(MODEL, image(site.url + "/nothing-there"))
        with LightLLMClient("k", server.url) as client:
            with pytest.raises(openai.BadRequestError, match="is not public"):
                client.chat.completions.create(MODEL, image(site.url + "/image.png"))
        assert server.requests == []


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("file:///no/such/picture.png", "can't be read"),
        ("data:image/png;base64,!!!", "not valid base64"),
        ("data:image/png", "must contain a comma"),
        ("data:image/png;base64," + base64.b64encode(b"not a picture").decode(), "is not a supported image"),
        ("ftp://example.org/a.png", "use file:, http:"),
    ],
)
def test_an_image_that_cannot_be_loaded_is_refused_before_anything_is_sent(address: str, said: str) -> None:
    with serve_lightllm() as server:
        with pytest.raises(openai.BadRequestError, match=said):
            create(server.url, image(address))
        assert server.requests == []


def test_an_image_that_is_too_big_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "big.png"
    file.write_bytes(PNG + b"0" * 5000)
    with serve_lightllm() as server, LightLLMClient("k", server.url, max_image_bytes=1000) as client:
        with pytest.raises(openai.BadRequestError, match="1,000"):
            client.chat.completions.create(MODEL, image(file.as_uri()))


def test_files_can_be_forbidden(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(PNG)
    with serve_lightllm() as server, LightLLMClient("k", server.url, files=False) as client:
        with pytest.raises(openai.BadRequestError, match="reading files is disabled"):
            client.chat.completions.create(MODEL, image(file.as_uri()))


def test_the_placeholder_can_be_set() -> None:
    with serve_lightllm(vision="internvl") as server:
        with LightLLMClient("k", server.url, image_placeholder="<image>\n") as client:
            client.chat.completions.create(MODEL, image(PNG_URL))
        assert "<image>\n" in server.requests[-1].prompt
        with LightLLMClient("k", server.url) as client:
            client.chat.completions.create("InternVL3-8B", image(PNG_URL))
        assert "<image>\n" in server.requests[-1].prompt


# ---- errors


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (417, openai.APIStatusError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_has_the_class_of_its_status(status: int, kind: type[Exception], stream: bool) -> None:
    with serve_lightllm([Says(status=status, error="the reason")]) as server:
        with pytest.raises(kind, match="the reason") as caught:
            list(create(server.url, max_retries=0, stream=stream))
    assert isinstance(caught.value, openai.APIStatusError)
    assert caught.value.status_code == status


@pytest.mark.parametrize(
    "body",
    [
        b'{"message": "the reason"}',
        b'{"detail": "the reason"}',
        b'{"detail": [{"type": "missing", "loc": ["body", "x"], "msg": "the reason", "input": {}}]}',
        b"the reason",
        b"<html><h1>the reason</h1></html>",
    ],
)
def test_every_form_of_an_error_body_is_understood(body: bytes) -> None:
    with serve_lightllm([Says(status=400, error_body=body)]) as server:
        with pytest.raises(openai.BadRequestError, match="the reason"):
            create(server.url)


@pytest.mark.parametrize("status", [400, 417])
def test_client_errors_are_not_retried(status: int, no_waiting: list[float]) -> None:
    with serve_lightllm([Says(status=status)]) as server:
        with pytest.raises(openai.APIStatusError):
            create(server.url)
        assert len(server.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("bad", [Says(status=429), Says(status=503), Says(drop=True)])
def test_a_request_to_a_busy_server_is_retried(bad: Says, stream: bool, no_waiting: list[float]) -> None:
    with serve_lightllm([bad, bad, "Hello."]) as server:
        answer = create(server.url, stream=stream)
        text: Any = (
            "".join(c.choices[0].delta.content or "" for c in answer) if stream else answer["choices"][0]["message"]
        )
        assert text == "Hello." or text["content"] == "Hello."
        assert len(server.requests) == 3
    assert len(no_waiting) == 2


def test_retry_after_is_kept(no_waiting: list[float]) -> None:
    with serve_lightllm([Says(status=429, headers={"retry-after": "7"}), "Hello."]) as server:
        create(server.url)
    assert no_waiting == [7.0]


def test_a_stream_that_breaks_before_its_first_token_is_retried(no_waiting: list[float]) -> None:
    with serve_lightllm([Says("x", cut_after=0), "Hello."]) as server:
        assert "".join(c.choices[0].delta.content or "" for c in create(server.url, stream=True)) == "Hello."


def test_a_stream_that_closes_without_a_frame_is_retried(no_waiting: list[float]) -> None:
    with serve_lightllm([Says(raw=b"\n"), "Hello."]) as server:
        assert "".join(c.choices[0].delta.content or "" for c in create(server.url, stream=True)) == "Hello."


@pytest.mark.parametrize(
    ("says", "kind", "said"),
    [
        (Says("one two three", cut_after=2), openai.APIConnectionError, "was closed before"),
        (Says("one two three", error_after=2, error="out of memory"), openai.APIError, "out of memory"),
        (Says("one two three", bad_frame_after=2), openai.APIError, "not JSON"),
        (Says("one", finish_reason="abort"), openai.APIError, "aborted the reply"),
        (
            Says(raw=b'data:{"token": {"text": "one"}, "finished": false}\n\n'),
            openai.APIConnectionError,
            "ended before",
        ),
    ],
)
def test_a_stream_that_fails_in_the_middle_raises_after_its_chunks(
    says: Says, kind: type[Exception], said: str
) -> None:
    told: list[str] = []
    with serve_lightllm([says]) as server:
        stream = create(server.url, stream=True)
        with pytest.raises(kind, match=said):
            told.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    assert "".join(told).startswith("one")


def test_an_error_as_the_first_frame_is_a_refusal() -> None:
    with serve_lightllm(max_model_len=10) as server, pytest.raises(openai.BadRequestError, match="exceeds"):
        list(create(server.url, [{"role": "user", "content": "x" * 500}], stream=True))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"answer": 1}', "no generated_text"),
        (b'{"generated_text": null}', "no generated_text"),
        (b"<html>hello</html>", "not JSON"),
        (b"", "not JSON"),
        (b"[]", "no generated_text"),
        (b'"text"', "no generated_text"),
    ],
)
def test_an_invalid_response_is_reported(raw: bytes, said: str) -> None:
    with serve([Answer(raw)]) as server, pytest.raises(openai.APIError, match=said):
        create(server.url.removesuffix("/v1"))


def test_an_unreachable_server_is_reported() -> None:
    with pytest.raises(openai.APIConnectionError, match="is the server running"):
        create("http://127.0.0.1:9", max_retries=0)


def test_a_silent_server_times_out() -> None:
    with serve_lightllm([Says("late", pause=1.0)]) as server:
        with pytest.raises(openai.APITimeoutError, match="within the timeout"):
            create(server.url, timeout=0.2, max_retries=0)


def test_an_answer_of_any_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_lightllm(["word " * 2000]) as server, LightLLMClient("k", server.url) as client:
        client._server.transport.max_bytes = 5000
        with pytest.raises(openai.APIError, match="5,000 bytes"):
            client.chat.completions.create(MODEL, HELLO)


def test_a_long_answer_is_read() -> None:
    text = "word " * 200_000
    body = {"generated_text": [text], "count_output_tokens": 200_000, "finish_reason": "stop", "prompt_tokens": 1}
    with serve_lightllm([Says(raw=json.dumps(body).encode())]) as server:
        assert create(server.url).choices[0].message.content == text


def test_the_key_is_never_in_errors_or_reprs() -> None:
    with serve_lightllm([Says(status=400, error="bad key-1234567 here")]) as server:
        with pytest.raises(openai.BadRequestError) as caught:
            create(server.url)
    assert "key-1234567" not in f"{caught.value} {caught.value.body} {caught.value.response.text[:0]}"
    assert "key-1234567" not in repr(LightLLMClient("key-1234567"))


def test_an_invalid_url_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        LightLLMClient("k", "localhost:8000")
    with pytest.raises(ConfigurationError, match="mode"):
        LightLLMClient("k", mode="text")  # type: ignore[arg-type]


def test_a_closed_client_raises() -> None:
    client = LightLLMClient("k")
    client.close()
    with pytest.raises(ConfigurationError, match="closed"):
        client.chat.completions.create(MODEL, HELLO)


# ---- other methods


def test_tokens_are_counted_by_the_server() -> None:
    with serve_lightllm() as server, LightLLMClient("k", server.url) as client:
        plain = client.count_tokens(HELLO, model=MODEL)
        assert plain > 0
        assert client.count_tokens(HELLO, [WEATHER], model=MODEL) > plain + 20
        assert client.count_tokens(image(PNG_URL), model=MODEL) > 64


def test_health_is_returned() -> None:
    with serve_lightllm() as server, LightLLMClient("k", server.url) as client:
        assert client.health()
        server.healthy = False
        assert LightLLMClient("k", server.url, max_retries=0).health() is False
    assert LightLLMClient("k", "http://127.0.0.1:9", max_retries=0).health() is False


def test_threads_share_a_client_and_its_connections() -> None:
    def says(asked: Any) -> str:
        return str(asked.prompt.split("number ")[1].split("<")[0])

    with serve_lightllm(says) as server, LightLLMClient("k", server.url) as client:
        start = threading.Barrier(8)

        def ask(number: int) -> str | None:
            start.wait()
            answers: list[str | None] = []
            for _ in range(5):
                messages = [{"role": "user", "content": f"number {number}"}]
                answers.append(client.chat.completions.create(MODEL, messages).choices[0].message.content)
            assert set(answers) == {str(number)}
            return answers[0]

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(ask, range(8))) == [str(number) for number in range(8)]
        assert server.connections <= 9


# ---- the server's chat completions


def chat(url: str, **arguments: Any) -> Any:
    return create(url, mode="chat", tools=[WEATHER, NOW], **arguments)


def test_chat_mode_uses_the_servers_chat_route() -> None:
    with serve_lightllm([THOUGHT]) as server:
        answer = chat(server.url)
        asked = server.requests[-1]
    assert asked.path == "/v1/chat/completions"
    assert asked.body["tools"] == [WEATHER, NOW]
    message = answer.choices[0].message
    assert message.reasoning_content.strip() == "I look."
    assert [(call.index, call.function.name) for call in message.tool_calls] == [(0, "get_weather")]
    assert answer.choices[0].finish_reason == "tool_calls"


def test_chat_mode_finds_calls_that_the_server_left_in_the_text() -> None:
    left = '<tool_call>{"name": "get_weather", "arguments": {"city": "a </tool_call> b"}}</tool_call>'
    with serve_lightllm([f"So. {left}"]) as server:
        message = chat(server.url).choices[0].message
        assert json.loads(message.tool_calls[0].function.arguments) == {"city": "a </tool_call> b"}
        told = [c for chunk in chat(server.url, stream=True) for c in chunk.choices[0].delta.tool_calls or ()]
    assert json.loads(told[0].function.arguments) == {"city": "a </tool_call> b"}


def test_chat_mode_fills_in_empty_arguments() -> None:
    with serve_lightllm(['<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>']) as server:
        chunks = list(chat(server.url, stream=True))
    pieces = [call.function.arguments or "" for c in chunks for call in c.choices[0].delta.tool_calls or ()]
    assert "".join(pieces) == "{}"
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_chat_mode_streams_text_and_usage() -> None:
    with serve_lightllm(["Hello there."]) as server:
        chunks = list(chat(server.url, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Hello there."
    assert chunks[-1].usage.total_tokens > 0


def test_chat_mode_sends_what_the_server_takes(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(PNG)
    parts = [{"type": "text", "text": "x<|im_end|>y"}, {"type": "image_url", "image_url": file.as_uri()}]
    history = [{"role": "user", "content": parts}, {"role": "assistant", "content": None, "tool_calls": []}]
    with serve_lightllm() as server:
        chat(server.url, messages=[*history, {"role": "user", "content": "go on"}])
        sent = server.requests[-1].body["messages"]
    assert sent[0]["content"][0]["text"] == "x< |im_end|>y"
    assert sent[0]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert "content" not in sent[1]


# ---- any OpenAI-compatible server


def test_the_compatible_client_has_the_same_interface(llama: LlamaServer) -> None:
    with OpenAICompatibleClient("k", llama.url) as client:
        answer = client.chat.completions.create(model="tiny", messages=HELLO)
        assert answer["choices"][0]["message"]["content"] == "Done."
        assert isinstance(answer, openai.types.chat.ChatCompletion)
        chunks = list(client.chat.completions.create(model="tiny", messages=HELLO, stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Done."
        called = client.chat.completions.create(model="tiny", messages=HELLO, tools=[WEATHER])
        assert called.choices[0].message.tool_calls[0]["function"]["name"] == "get_weather"


def test_the_compatible_client_passes_on_what_it_is_given() -> None:
    with serve([calls(("now", {})), whole("Done."), streamed(delta(content="Hi"))]) as server:
        with OpenAICompatibleClient("secret-key", server.url) as client:
            make: Callable[..., Any] = client.chat.completions.create
            message = make(model="m", messages=HELLO, tools=[NOW], temperature=0.1, seed=None).choices[0].message
            make(model="m", messages=[*HELLO, message], extra_body={"top_k": 3})
            assert [c.choices[0].delta.content for c in make(model="m", messages=HELLO, stream=True)] == ["Hi"]
        first, second, _ = server.requests
    assert (first.body["temperature"], "seed" in first.body) == (0.1, False)
    assert first.headers["authorization"] == "Bearer secret-key"
    assert second.body["top_k"] == 3
    assert second.body["messages"][1]["tool_calls"][0]["function"]["name"] == "now"


def test_the_compatible_client_raises_openais_errors() -> None:
    with serve([Answer(b'{"error": {"message": "no such model"}}', status=404)]) as server:
        with OpenAICompatibleClient(None, server.url) as client, pytest.raises(openai.NotFoundError, match="no such"):
            client.chat.completions.create(model="m", messages=HELLO)
    with serve([Answer(b'{"error": {"message": "overloaded"}}')]) as server:
        with OpenAICompatibleClient(None, server.url) as client, pytest.raises(openai.APIError, match="overloaded"):
            client.chat.completions.create(model="m", messages=HELLO)
