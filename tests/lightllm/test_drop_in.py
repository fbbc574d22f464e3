"""The drop-in clients in the place of `openai.OpenAI`: its options, attributes, methods and helpers."""

import copy
import inspect
import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import openai
import pytest
import wrapt
from openai import NOT_GIVEN, omit
from openai.types.chat import ChatCompletionAssistantMessageParam
from openai.types.chat import ChatCompletionMessage as OpenAIMessage
from pydantic import BaseModel, TypeAdapter

import agentkit
from agentkit import ChatCompletionMessage, ConfigurationError, LightLLMClient, OpenAICompatibleClient
from tests.support.lightllm_server import LightLLMServer, serve_lightllm
from tests.support.llama_server import LlamaServer
from tests.support.model_server import Answer, delta, serve, streamed, whole

MODEL = "Qwen3-8B"
HELLO: Any = [{"role": "user", "content": "Hello"}]
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Height(BaseModel):
    height: int


@dataclass
class ToolCall:
    id: str
    type: str
    function: dict[str, str]
    index: int = 0


@pytest.fixture
def server() -> Iterator[LightLLMServer]:
    with serve_lightllm(["Hello."]) as running:
        yield running


@pytest.fixture(params=["generate", "chat"])
def client(server: LightLLMServer, request: pytest.FixtureRequest) -> Iterator[LightLLMClient]:
    with LightLLMClient("key-1234567", server.url, mode=request.param) as made:
        yield made


# ---- the options of the client


def test_it_is_an_openai_client(client: LightLLMClient) -> None:
    assert isinstance(client, openai.OpenAI)
    assert isinstance(OpenAICompatibleClient(), openai.OpenAI)


def test_headers_and_query_of_the_client_and_the_request_are_sent(server: LightLLMServer) -> None:
    for mode in ("generate", "chat"):
        with LightLLMClient(
            "key-1234567",
            server.url,
            mode=mode,
            organization="org-1",
            project="proj-1",
            default_headers={"X-Team": "search", "X-Kept": "no"},
            default_query={"api-version": "1", "a": "client"},
        ) as client:
            for stream in (False, True):
                answer = client.chat.completions.create(
                    MODEL, HELLO, stream=stream, extra_headers={"X-Kept": "yes"}, extra_query={"a": "b c", "l": [1, 2]}
                )
                list(answer)
                asked = server.requests[-1]
                headers = [
                    asked.headers[name] for name in ("openai-organization", "openai-project", "x-team", "x-kept")
                ]
                assert headers == ["org-1", "proj-1", "search", "yes"]
                assert asked.headers["authorization"] == "Bearer key-1234567"
                assert asked.query == "api-version=1&a=b+c&l%5B%5D=1&l%5B%5D=2"
                assert not {"a", "l", "extra_query"} & asked.body.keys()


def test_extra_body_is_in_the_body_of_any_server() -> None:
    with serve([whole("Hi.")]) as server, OpenAICompatibleClient(base_url=server.url) as client:
        client.chat.completions.create(model="m", messages=HELLO, extra_body={"top_k": 3}, extra_query={"x": "y"})
        assert server.requests[0].body == {"model": "m", "messages": HELLO, "stream": False, "top_k": 3}


def test_omitted_arguments_are_the_defaults(server: LightLLMServer, client: LightLLMClient) -> None:
    names = inspect.signature(LightLLMClient).parameters.keys() - {"options"}
    made = LightLLMClient(**dict.fromkeys(names, NOT_GIVEN))  # type: ignore[arg-type]
    assert (made.timeout, made.max_retries, str(made.base_url)) == (600.0, 2, "http://localhost:8000")
    client.chat.completions.create(MODEL, HELLO)
    theirs = inspect.signature(openai.resources.chat.Completions.create).parameters.keys()
    for value in (omit, NOT_GIVEN):
        given = dict.fromkeys(theirs - {"self", "model", "messages", "temperature", "top_p"}, value)
        client.chat.completions.create(MODEL, HELLO, value, value, **given)
        assert server.requests[-1].body == server.requests[0].body
    with pytest.raises(TypeError, match="messages"):
        client.chat.completions.create(MODEL, omit)


def test_no_key_means_no_authorization(server: LightLLMServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "OPENAI_API_KEY": "sk-of-openai-1",
        "OPENAI_ADMIN_KEY": "sk-of-openai-2",
        "OPENAI_ORG_ID": "org-of-openai",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        "OPENAI_CUSTOM_HEADERS": "X-Secret: of-openai",
    }.items():
        monkeypatch.setenv(name, value)
    with LightLLMClient(base_url=server.url) as client:
        assert client.api_key == ""
        client.chat.completions.create(MODEL, HELLO)
        assert "of-openai" not in str(server.requests[-1].headers)
        assert "authorization" not in server.requests[-1].headers
        client.with_options(api_key="key-1234567").chat.completions.create(MODEL, HELLO)
        assert server.requests[-1].headers["authorization"] == "Bearer key-1234567"
        client.with_options(default_headers={"Authorization": "Basic abc"}).chat.completions.create(MODEL, HELLO)
        assert server.requests[-1].headers["authorization"] == "Basic abc"


def test_a_request_may_leave_the_key_out(server: LightLLMServer, client: LightLLMClient) -> None:
    client.chat.completions.create(MODEL, HELLO, extra_headers={"Authorization": omit})
    assert "authorization" not in server.requests[-1].headers


def test_a_key_may_be_a_function(server: LightLLMServer) -> None:
    keys = iter(["first-key", "second-key"])
    with LightLLMClient(lambda: next(keys), server.url) as client:
        for wanted in ("first-key", "second-key"):
            client.chat.completions.create(MODEL, HELLO)
            assert server.requests[-1].headers["authorization"] == f"Bearer {wanted}"


@pytest.mark.parametrize(
    ("timeout", "sent"),
    [
        (7.0, (7.0, 7.0)),
        (60, (10.0, 60.0)),
        (openai.Timeout(30.0, connect=2.0), (2.0, 30.0)),
        (httpx2.Timeout(None, read=5.0), (None, 5.0)),
        (None, (None, None)),
    ],
    ids=["seconds", "a whole number", "openai.Timeout", "httpx2.Timeout", "none"],
)
def test_timeouts_of_every_form_are_kept(
    timeout: Any, sent: tuple[float | None, float | None], server: LightLLMServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    with LightLLMClient(base_url=server.url, family="qwen3") as plain:
        transport: Any = plain._server.transport
        send = transport._followed

        def watched(*args: Any) -> Any:
            limits = args[-1]
            seen.append((limits.connecting, limits.reading))
            return send(*args)

        monkeypatch.setattr(transport, "_followed", watched)
        plain.chat.completions.create(MODEL, HELLO, timeout=timeout)
        changed = plain.with_options(timeout=timeout)
        changed.chat.completions.create(MODEL, HELLO)
        assert changed.timeout == timeout
    assert seen == [sent, sent]


def test_an_http_client_is_used_or_refused() -> None:
    seen: list[str] = []
    hooks: Any = {"request": [lambda request: seen.append(str(request.url))]}
    plain = httpx2.Client(event_hooks=hooks, transport=httpx2.HTTPTransport(verify=False))
    with pytest.raises(ConfigurationError, match="can't use http_client="):
        LightLLMClient(http_client=plain)
    with serve([whole("Hi.")]) as server:
        with OpenAICompatibleClient(base_url=server.url, http_client=plain) as client:
            assert client.chat.completions.create(model="m", messages=HELLO)["choices"][0].message.content == "Hi."
        assert seen == [f"{server.url}/chat/completions"]


def test_options_can_be_changed_for_a_copy(server: LightLLMServer) -> None:
    with LightLLMClient("key-1234567", server.url, family="qwen3", default_headers={"X-A": "1"}) as client:
        changed = client.with_options(max_retries=5, timeout=3.0, default_headers={"X-B": "2"})
        assert (changed.max_retries, changed.timeout, client.max_retries) == (5, 3.0, 2)
        assert changed._server is client._server
        changed.chat.completions.create("any-model", HELLO)
        assert (server.requests[-1].headers["x-a"], server.requests[-1].headers["x-b"]) == ("1", "2")
        other = client.copy(family="llama")
        other.chat.completions.create("any-model", HELLO)
        assert server.requests[-1].prompt.startswith("<|begin_of_text|>")
        assert str(client.with_options(base_url="http://localhost:1/v1").base_url) == "http://localhost:1"


def test_attributes_are_those_of_the_openai_client(server: LightLLMServer) -> None:
    client = LightLLMClient("key-1234567", server.url, 30.0, max_retries=4, organization="o")
    assert (client.api_key, client.timeout, client.max_retries) == ("key-1234567", 30.0, 4)
    assert (str(client.base_url).rstrip("/"), client.organization, client.project) == (server.url, "o", None)
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).owned_by == "lightllm"
    with pytest.raises(openai.NotFoundError, match="no model 'no/thing'"):
        client.models.retrieve("no/thing")
    assert not client.is_closed()
    with client as same:
        assert same is client
    assert client.is_closed()


def test_retries_of_a_copy_are_its_own(server: LightLLMServer, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("agentkit.net.retries.wait_unless_aborted", waits.append)
    with LightLLMClient(base_url="http://127.0.0.1:9", family="qwen3") as client:
        for each, count in [(client, 2), (client.with_options(max_retries=0), 0)]:
            waits.clear()
            with pytest.raises(openai.APIConnectionError, match="is the server running"):
                each.chat.completions.create(MODEL, HELLO)
            assert len(waits) == count


# ---- arguments of create


REFUSED: dict[str, Any] = {
    "audio": {"format": "wav", "voice": "alloy"},
    "modalities": ["text", "audio"],
    "web_search_options": {"search_context_size": "low"},
    "verbosity": "low",
    "logit_bias": {"7": -100},
    "functions": [{"name": "now"}],
    "function_call": {"name": "now"},
    "moderation": {"model": "m"},
}
ACCEPTED: dict[str, Any] = {
    **dict.fromkeys(REFUSED),
    "modalities": ["text"],
    "verbosity": "medium",
    "function_call": "none",
    "prediction": {"type": "content", "content": "x"},
    "service_tier": "auto",
    "store": True,
    "metadata": {"a": "b"},
    "safety_identifier": "s",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "parallel_tool_calls": True,
    "user": "me",
    "top_logprobs": 2,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_text_server_can_not_follow_is_named(server: LightLLMServer, name: str) -> None:
    with LightLLMClient(base_url=server.url) as client, pytest.raises(openai.BadRequestError, match=f"{name}= can't"):
        client.chat.completions.create(MODEL, HELLO, **{name: REFUSED[name]})
    assert server.requests == []


def test_what_asks_for_nothing_is_accepted(server: LightLLMServer) -> None:
    with LightLLMClient(base_url=server.url) as client:
        client.chat.completions.create(MODEL, HELLO)
        client.chat.completions.create(MODEL, HELLO, **ACCEPTED)
    assert server.requests[1].body == server.requests[0].body


def test_every_argument_reaches_a_server_with_chat_completions() -> None:
    given = {**REFUSED, **{name: value for name, value in ACCEPTED.items() if name not in REFUSED}}
    with serve([whole("Hi.")]) as server:
        with OpenAICompatibleClient(base_url=server.url) as compatible:
            compatible.chat.completions.create(model="m", messages=HELLO, **given)
        with LightLLMClient(base_url=server.url, mode="chat") as client:
            client.chat.completions.create("m", HELLO, **given)
        for asked in server.requests:
            assert given.items() <= asked.body.items()


def test_reasoning_effort_is_a_variable_of_the_template(server: LightLLMServer) -> None:
    with LightLLMClient(base_url=server.url) as client:
        client.chat.completions.create(MODEL, HELLO, reasoning_effort="none")
    assert server.requests[-1].prompt.endswith("<think>\n\n</think>\n\n")


# ---- helpers


def test_answers_are_parsed() -> None:
    with serve_lightllm(['{"height": 133}']) as server, LightLLMClient(base_url=server.url) as client:
        for parse in (client.chat.completions.parse, client.beta.chat.completions.parse):
            answer = parse(model=MODEL, messages=HELLO, response_format=Height)
            assert answer.choices[0].message.parsed == Height(height=133)
        sent = server.requests[-1].parameters
        assert json.loads(sent["guided_json"])["properties"]["height"]["type"] == "integer"
        assert (sent["temperature"], sent["max_new_tokens"]) == (0.6, 10000)
        with pytest.raises(TypeError, match=r"use chat.completions.parse\(\)"):
            client.chat.completions.create(MODEL, HELLO, response_format=Height)


def test_calls_are_parsed_into_models() -> None:
    class GetWeather(BaseModel):
        city: str

    called = CALL.replace("get_weather", "GetWeather")
    with serve_lightllm([called]) as server, LightLLMClient(base_url=server.url) as client:
        answer = client.chat.completions.parse(
            model=MODEL, messages=HELLO, tools=[openai.pydantic_function_tool(GetWeather)]
        )
    assert answer.choices[0].message.tool_calls[0].function.parsed_arguments == GetWeather(city="Oslo")


def test_a_stream_has_events_and_a_final_completion() -> None:
    with serve_lightllm([f"I look. {CALL}"]) as server, LightLLMClient(base_url=server.url) as client:
        with client.chat.completions.stream(model=MODEL, messages=HELLO, tools=[WEATHER]) as stream:
            events = list(stream)
            final = stream.get_final_completion().choices[0]
    kinds = {event.type for event in events}
    assert {"chunk", "content.delta", "tool_calls.function.arguments.done"} <= kinds
    assert "".join(event.delta for event in events if event.type == "content.delta") == "I look."
    assert json.loads(final.message.tool_calls[0].function.arguments) == {"city": "Oslo"}
    assert final.finish_reason == "tool_calls"


def test_raw_responses_have_headers_and_are_parsed(client: LightLLMClient) -> None:
    for resource in (client.chat.completions, client.beta.chat.completions):
        raw = resource.with_raw_response.create(MODEL, HELLO)
        assert (raw.status_code, raw.headers["content-type"]) == (200, "application/json")
        assert raw.http_request.headers["x-stainless-lang"] == "python"
        assert raw.parse()["choices"][0].message.content == "Hello."
        streamed_raw = resource.with_raw_response.create(MODEL, HELLO, stream=True)
        assert (
            "".join(chunk.choices[0].delta.content or "" for chunk in streamed_raw.parse() if chunk.choices) == "Hello."
        )
    assert client.with_raw_response.models.list().parse().data[0].id == MODEL


def test_headers_of_the_server_are_kept() -> None:
    body = json.dumps({"choices": [{"message": {"role": "assistant", "content": "Hi."}}]}).encode()
    with serve([Answer(body, headers={"x-request-id": "r-7"})]) as server:
        with OpenAICompatibleClient(base_url=server.url) as client:
            assert client.chat.completions.create(model="m", messages=HELLO)._request_id == "r-7"
            raw = client.chat.completions.with_raw_response.create(model="m", messages=HELLO)
            assert raw.headers["x-request-id"] == raw.request_id == "r-7"


def test_responses_are_streamed(client: LightLLMClient) -> None:
    with client.chat.completions.with_streaming_response.create(MODEL, HELLO) as response:
        assert not response.is_closed
        assert json.loads(response.read())["choices"][0]["message"]["content"] == "Hello."
    assert response.is_closed
    with client.chat.completions.with_streaming_response.create(MODEL, HELLO, stream=True) as response:
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert json.loads(lines[0].removeprefix("data: "))["object"] == "chat.completion.chunk"


def test_other_routes_go_to_the_server_unchanged() -> None:
    embedding = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "m"}
    with serve([Answer(json.dumps(embedding).encode())]) as server:
        for client in (OpenAICompatibleClient(base_url=server.url), LightLLMClient(base_url=server.url)):
            with client:
                made = client.embeddings.create(model="m", input="x", encoding_format="float")
                assert made.data[0].embedding == [0.5]
        assert [asked.body["input"] for asked in server.requests] == ["x", "x"]
    with OpenAICompatibleClient(base_url="http://127.0.0.1:9/v1") as client:
        with pytest.raises(ConfigurationError, match="is not the server of this client"):
            client.get("http://127.0.0.1:10/v1/models", cast_to=object)


def test_the_helpers_work_with_a_real_server(llama: LlamaServer) -> None:
    for client in (OpenAICompatibleClient(base_url=llama.url), LightLLMClient(base_url=llama.root, mode="chat")):
        with client:
            assert client.models.list().data[0].id
            parsed = client.chat.completions.parse(model="tiny", messages=HELLO, response_format=Height)
            assert isinstance(parsed.choices[0].message.parsed, Height)
            with client.chat.completions.stream(model="tiny", messages=HELLO) as stream:
                assert stream.get_final_completion().choices[0].message.content == "Done."
            raw = client.chat.completions.with_raw_response.create(model="tiny", messages=HELLO, tools=[WEATHER])
            assert json.loads(json.dumps(raw.parse().choices[0].message.tool_calls))[0]["type"] == "function"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_tracing_library_sees_the_calls(server: LightLLMServer, client: LightLLMClient, stream: bool) -> None:
    seen: list[dict[str, Any]] = []
    arguments: dict[str, Any] = {"top_k": 3, "tools": [WEATHER], "extra_body": {"min_new_tokens": 2}, "timeout": 9}

    def traced(create: Any, _: Any, args: Any, given: dict[str, Any]) -> Any:
        seen.append(given)
        return create(*args, **given)

    def text() -> str:
        answer = client.chat.completions.create(MODEL, HELLO, stream=stream, **arguments)
        if stream:
            return "".join(chunk["choices"][0]["delta"]["content"] or "" for chunk in answer if chunk.choices)
        return str(answer["choices"][0]["message"]["content"])

    plain = text()
    completions = openai.resources.chat.completions.Completions
    own = vars(completions)["create"]
    wrapt.wrap_function_wrapper(completions, "create", traced)
    try:
        assert text() == plain == "Hello."
    finally:
        completions.create = own  # type: ignore[method-assign]
    assert (seen[0]["model"], seen[0]["messages"], seen[0]["stream"], len(seen)) == (MODEL, HELLO, stream, 1)
    assert server.requests[1].body == server.requests[0].body


# ---- tool calls and messages


def called(stream: bool) -> Any:
    """The tool calls of an answer, or of the chunks of one."""
    with serve_lightllm([CALL]) as server, LightLLMClient(base_url=server.url) as client:
        answer = client.chat.completions.create(MODEL, HELLO, tools=[WEATHER], stream=stream)
        if stream:
            return next(chunk.choices[0].delta.tool_calls for chunk in answer if chunk.choices[0].delta.tool_calls)
        return answer.choices[0].message.tool_calls


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_tool_calls_are_json_with_attributes(stream: bool) -> None:
    calls = called(stream)
    plain = json.loads(json.dumps(calls))
    assert plain[0]["function"] == {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
    call = calls[0]
    assert dict in type(call).__mro__
    assert call.function.name == call["function"]["name"] == call.function["name"] == "get_weather"
    assert (call.id, call.type) == (call["id"], "function")
    assert call.model_dump() == call.to_dict() == json.loads(call.model_dump_json()) == plain[0]
    for copied in (copy.deepcopy(call), copy.copy(call), pickle.loads(pickle.dumps(call))):
        assert copied == call
        assert copied.function.name == "get_weather"
    call.id = "other"
    assert call["id"] == "other"
    with pytest.raises(AttributeError, match="nothing"):
        _ = call.nothing
    with pytest.raises(KeyError):
        call["nothing"]


def test_answers_with_calls_are_dumped_and_validated() -> None:
    with serve_lightllm([CALL]) as server:
        for strict in (False, True):
            with LightLLMClient(base_url=server.url, _strict_response_validation=strict) as client:
                answer = client.chat.completions.create(MODEL, HELLO, tools=[WEATHER])
            dumped = answer.model_dump(exclude_none=True)
            assert json.loads(answer.model_dump_json(exclude_none=True)) == dumped
            assert type(answer).model_validate_json(answer.model_dump_json()) == answer
            assert type(answer).model_json_schema()["title"] == "ChatCompletion"
            assert copy.deepcopy(answer) == pickle.loads(pickle.dumps(answer)) == answer
            assert type(dumped["choices"][0]["message"]["tool_calls"][0]) is dict
            assert openai.types.chat.ChatCompletion.model_validate(answer.model_dump()).choices[0].message.tool_calls


def test_calls_come_back_in_every_form() -> None:
    calls = called(stream=False)
    plain = json.loads(json.dumps(calls))
    theirs = OpenAIMessage.model_validate({"role": "assistant", "content": None, "tool_calls": plain})
    forms: list[Any] = [
        {"role": "assistant", "content": None, "tool_calls": plain},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "assistant", "content": None, "tool_calls": theirs.tool_calls},
        {"role": "assistant", "content": None, "tool_calls": [{**plain[0], "function": calls[0].function}]},
        ChatCompletionMessage(None, "assistant", calls),
        ChatCompletionMessage(content=None, role="assistant", tool_calls=theirs.tool_calls),
        theirs,
        theirs.model_dump(),
        {"role": "assistant", "content": None, "tool_calls": [ToolCall(**plain[0])]},
        TypeAdapter(ChatCompletionAssistantMessageParam).validate_python({"role": "assistant", "tool_calls": plain}),
    ]
    result = {"role": "tool", "tool_call_id": calls[0].id, "content": "9"}
    with serve_lightllm(["It is 9."]) as server, serve([whole("It is 9.")]) as other:
        for message in forms:
            with LightLLMClient(base_url=server.url) as client:
                client.chat.completions.create(MODEL, [*HELLO, message, result], tools=[WEATHER])
            with OpenAICompatibleClient(base_url=other.url) as compatible:
                compatible.chat.completions.create(model="m", messages=[*HELLO, message, result])
    assert len({asked.prompt for asked in server.requests}) == 1
    sent = [asked.body["messages"][1]["tool_calls"][0] for asked in other.requests]
    assert [(each["id"], each["type"], each["function"]) for each in sent] == [
        (plain[0]["id"], "function", plain[0]["function"])
    ] * len(forms)


def test_a_message_can_be_made_and_sent(server: LightLLMServer, client: LightLLMClient) -> None:
    assert agentkit.lightllm.ChatCompletionMessage is ChatCompletionMessage  # type: ignore[attr-defined]
    message = ChatCompletionMessage("I look.", "assistant", [{"id": "c", "function": {"name": "f", "arguments": "{}"}}])
    assert message.tool_calls is not None
    assert (message.content, message["role"], message.tool_calls[0].function.name) == ("I look.", "assistant", "f")
    assert (ChatCompletionMessage("Hi", "user").role, ChatCompletionMessage("Hi").tool_calls) == ("user", None)
    client.chat.completions.create(MODEL, [ChatCompletionMessage("Hi", "user"), ChatCompletionMessage("Ho"), *HELLO])
    assert "Ho" in json.dumps(server.requests[-1].body)


def test_deltas_have_no_missing_fields() -> None:
    pieces = [{"index": 0, "function": {"arguments": "{}"}}]
    with serve([streamed(delta(tool_calls=pieces), delta("tool_calls"))]) as server:
        with OpenAICompatibleClient(base_url=server.url) as client:
            first, _ = client.chat.completions.create(model="m", messages=HELLO, stream=True)
    call = first.choices[0].delta.tool_calls[0]
    assert (call.id, call.function.name, call["id"], call["function"]["name"]) == (None,) * 4
