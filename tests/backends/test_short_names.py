"""Hosted APIs by their short names, each with a server on loopback that behaves like the provider."""

import json
import pickle
import re
from typing import Any

import openai
import pytest

from agentkit import Agent, ConfigurationError, tool
from agentkit.backends import OpenAIBackend
from agentkit.event import ReplyDiscarded, ReplyFinished, TextDelta
from agentkit.limits import Usage
from agentkit.middleware import retry
from agentkit.middleware.pricing import known_cost
from agentkit.net.hosted import SHORT_NAMES, is_hosted
from agentkit.net.stored_keys import variable_of
from agentkit.providers import PROVIDERS, resolve
from agentkit.retrieval.embeddings import embedder
from tests.support.model_server import Answer, Asked, delta, serve, streamed, whole

KEY = "gsk-never-to-be-seen-1234"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PAUSE", 0.0)
    for api in SHORT_NAMES.values():
        monkeypatch.setenv(api.key, KEY)


@tool(read_only=True)
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def refused(message: str, status: int = 400, **fields: Any) -> Answer:
    return Answer(json.dumps({"error": {"message": message, **fields}}).encode(), status=status)


def results(asked: Asked) -> list[dict[str, Any]]:
    return [message for message in asked.body["messages"] if message["role"] == "tool"]


@pytest.mark.parametrize("name", SHORT_NAMES)
def test_a_short_name_is_an_address_and_a_key(name: str) -> None:
    api = SHORT_NAMES[name]
    assert api.key == variable_of(name)
    assert is_hosted(api.url)
    assert name in PROVIDERS.names()
    backend = resolve(f"{name}:some/model:free", {api.key: KEY})
    assert isinstance(backend, OpenAIBackend)
    assert (backend.model, backend.base_url) == ("some/model:free", api.url)
    assert KEY not in repr(backend)
    with pytest.raises(ConfigurationError, match=f"set {api.key}, store it with agentkit keys set {name}"):
        resolve(f"{name}:m", {"OPENAI_API_KEY": KEY})
    with pytest.raises(ConfigurationError, match=f"write {name}:NAME"):
        resolve(f"{name}:", {api.key: KEY})
    with pytest.raises(ConfigurationError, match=f"{api.key} can't be an API key") as raised:
        resolve(f"{name}:m", {api.key: f"Bearer {KEY}"})
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("name", SHORT_NAMES)
def test_another_address_gets_the_key_of_the_name(name: str) -> None:
    with serve([whole("Hi.")]) as server:
        address = server.url.removesuffix("/v1")
        with Agent(f"{name}:meta-llama/llama-3.3-70b-instruct:free@{address}") as agent:
            assert agent.run("Hello").output == "Hi."
        assert server.requests[0].body["model"] == "meta-llama/llama-3.3-70b-instruct:free"
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        resolve(f"{name}:m@{address}", {}).close()  # a gateway may need no key


def test_an_embedder_has_the_key_of_its_name_also_when_it_is_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai-and-no-other")
    vector = Answer(json.dumps({"data": [{"index": 0, "embedding": [0.1]}]}).encode())
    with serve([vector]) as server:
        for name in (f"mistral:mistral-embed@{server.url}", f"ollama:bge-m3@{server.url}"):
            made = embedder(name)
            assert pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(made)))).embed(["x"]) == [[0.1]]
    assert [each.headers["authorization"] for each in server.requests] == [f"Bearer {KEY}", "Bearer not-needed"]


def groq(asked: Asked) -> Answer:
    """Refuses what it does not know of a message, and writes its reasoning."""
    for place, message in enumerate(asked.body["messages"]):
        for key in message:
            if key not in ("role", "content", "name", "tool_calls", "tool_call_id"):
                text = f"'messages.{place}' : for 'role:{message['role']}' the following must be satisfied"
                return refused(f"{text}[('messages.{place}' : property '{key}' is unsupported)]")
    if results(asked):
        chunk = {"choices": [], "x_groq": {"usage": {"prompt_tokens": 400, "completion_tokens": 3}}}
        return streamed(delta(reasoning="Hm."), delta(content="It is 5."), delta("stop"), chunk)
    call = {"index": 0, "id": "fc_1", "type": "function", "function": {"name": "add", "arguments": '{"a":2,"b":3}'}}
    return streamed(delta(role="assistant", reasoning="Let me add."), delta(tool_calls=[call]), delta("tool_calls"))


def mistral(asked: Asked) -> Answer:
    """Wants ids of nine letters or digits, refuses fields that it does not know, writes its thoughts as parts."""
    for key in asked.body:
        if key in ("stream_options", "store"):
            detail = [{"type": "extra_forbidden", "loc": ["body", key], "msg": "Extra inputs are not permitted"}]
            return Answer(json.dumps({"object": "error", "message": {"detail": detail}}).encode(), status=422)
    ids = [call["id"] for message in asked.body["messages"] for call in message.get("tool_calls", ())]
    for each in (*ids, *(message["tool_call_id"] for message in results(asked))):
        if not re.fullmatch("[a-zA-Z0-9]{9}", each):
            said = f"Tool call id was {each} but must be a-z, A-Z, 0-9, with a length of 9."
            body = {"object": "error", "message": said, "type": "invalid_function_call", "code": "3280"}
            return Answer(json.dumps(body).encode(), status=400)
    if results(asked):
        thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
        return streamed(delta(content=[thought]), delta(content="It is 5."), delta("stop"))
    call = {"id": "call_of_another_form", "index": 0, "function": {"name": "add", "arguments": '{"a": 2, "b": 3}'}}
    return streamed(delta(role="assistant", content="", tool_calls=[call]), delta("tool_calls"))


def deepseek(asked: Asked) -> Answer:
    """Wants the reasoning of replies with calls back (thinking mode)."""
    for place, message in enumerate(asked.body["messages"]):
        if message["role"] == "assistant" and not message.get("reasoning_content"):
            return refused(f"Missing `reasoning_content` field in the assistant message at message index {place}.")
    if results(asked):
        return streamed(delta(reasoning_content="So 5."), delta(content="It is 5."), delta("stop"))
    call = {"index": 0, "id": "call_0", "type": "function", "function": {"name": "add", "arguments": '{"a":2,"b":3}'}}
    return streamed(delta(role="assistant", content=""), delta(tool_calls=[call]), delta("tool_calls"))


def deepseek_of_old(asked: Asked) -> Answer:
    """Refuses the reasoning of earlier replies."""
    if any("reasoning_content" in message for message in asked.body["messages"]):
        return refused("The reasoning_content is an output field: it should not be included in the 'reasoning_content'")
    if results(asked):
        return streamed(delta(reasoning_content="So 5."), delta(content="It is 5."), delta("stop"))
    call = {"index": 0, "id": "call_0", "type": "function", "function": {"name": "add", "arguments": '{"a":2,"b":3}'}}
    return streamed(delta(reasoning_content="Add."), delta(tool_calls=[call]), delta("tool_calls"))


class OpenRouter:
    """Says that it is busy in a response with status 200, whole, in a stream and in the middle of one; with comments in
    its streams."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, asked: Asked) -> Answer:
        self.asked += 1
        error = {"code": 502, "message": "Provider returned error", "metadata": {"raw": "overloaded"}}
        if self.asked == 1:
            return Answer(json.dumps({"error": error, "user_id": "user_1"}).encode())
        if self.asked == 3:
            return streamed({"id": "gen-1", "object": "chat.completion.chunk", "choices": [], "error": error})
        if self.asked == 6:
            broken = {**delta("error", content=""), "error": error}
            return streamed(delta(role="assistant", content=""), broken, done=False)
        details = [{"type": "reasoning.text", "text": "Hm.", "index": 0}]
        call = {"index": 0, "id": "toolu_1", "function": {"name": "add", "arguments": '{"a": 2, "b": 3}'}}
        made = (
            (delta(content="It is 5."), delta("stop"))
            if results(asked)
            else (delta(reasoning="Hm.", reasoning_details=details), delta(tool_calls=[call]), delta("tool_calls"))
        )
        answer = streamed(*made)
        comments = b": OPENROUTER PROCESSING\n\n" * 3
        return Answer(
            comments + answer.body.replace(b"data: [", comments + b"data: ["), content_type="text/event-stream"
        )


def together(asked: Asked) -> Answer:
    """Ends with reasons of its own, and has empty texts beside calls."""
    if results(asked):
        chunk = {**delta("eos", content=""), "usage": {"prompt_tokens": 400, "completion_tokens": 2}}
        return streamed({**delta(content="It is 5."), "usage": None}, chunk)
    call = {"index": 0, "id": "call_a", "type": "function", "function": {"name": "add", "arguments": '{"a":2,"b":3}'}}
    return streamed({**delta(content=None, tool_calls=[call]), "usage": None}, delta("tool_calls", content=""))


def gemini(asked: Asked) -> Answer:
    """Wants the signature of its thoughts back."""
    for message in asked.body["messages"]:
        for call in message.get("tool_calls", ())[:1]:
            if "thought_signature" not in json.dumps(call):
                said = [
                    {"error": {"code": 400, "message": "Function call is missing a thought_signature in functionCall"}}
                ]
                return Answer(json.dumps(said).encode(), status=400)
    if results(asked):
        return streamed(delta(role="assistant", content="It is 5."), delta("stop", role="assistant"))
    call = {
        "extra_content": {"google": {"thought_signature": "c2ln"}},
        "function": {"arguments": '{"a":2,"b":3}', "name": "add"},
        "id": "",
        "index": 0,
        "type": "function",
    }
    return streamed(delta("tool_calls", role="assistant", tool_calls=[call]))


def as_asked_for(answer: Answer, asked: Asked) -> Answer:
    """A stream as one object, where no stream was asked for."""
    events = [line.removeprefix(b"data: ") for line in answer.body.splitlines() if line.startswith(b"data: {")]
    if asked.body.get("stream") or not events:
        return answer
    message: dict[str, Any] = {"role": "assistant"}
    made: dict[str, Any] = {"object": "chat.completion"}
    for chunk in map(json.loads, events):
        made.update({key: chunk[key] for key in ("usage", "x_groq", "error") if chunk.get(key)})
        for choice in chunk["choices"]:
            message.update({key: value for key, value in choice["delta"].items() if value or key not in message})
            made["choices"] = [{"index": 0, "message": message, "finish_reason": choice["finish_reason"]}]
    return Answer(json.dumps(made).encode(), status=answer.status)


@pytest.mark.parametrize(
    ("model", "server"),
    [
        ("groq:openai/gpt-oss-120b", groq),
        ("mistral:labs-x", mistral),
        ("mistral:mistral-large-latest", mistral),
        ("deepseek:deepseek-v4", deepseek),
        ("deepseek:deepseek-reasoner", deepseek_of_old),
        ("openrouter:x/y:free", OpenRouter),
        ("together:meta-llama/Llama-3.3-70B-Instruct-Turbo", together),
        ("gemini:gemini-3-pro", gemini),
    ],
)
def test_a_run_with_a_tool_goes_through(model: str, server: Any) -> None:
    play = server() if isinstance(server, type) else server
    with serve(lambda asked: as_asked_for(play(asked), asked)) as running:
        with Agent(f"{model}@{running.url}", tools=[add]) as agent:
            first = agent.run("How much is 2 and 3?")
            asked = len(running.requests)
            again = agent.run("And again?", messages=first.messages)
            streamed_text = "".join(
                event.text for event in agent.stream("Once more?", messages=again.messages) if hasattr(event, "text")
            )
    assert (first.output, again.output) == ("It is 5.", "It is 5.")
    assert "It is 5." in streamed_text
    assert not first.repairs
    assert running.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert len(running.requests) - asked <= 4  # what was refused once is not sent again
    if "groq" in model or "together" in model:
        assert first.usage.input_tokens > 0


FAILED = "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details."
INVALID = "tool call validation failed: parameters for tool add did not match schema: errors: [`/a`: expected integer]"


@pytest.mark.parametrize("status", [400, 200])
@pytest.mark.parametrize(
    ("said", "written", "requests"),
    [
        (FAILED, '<function=add>{"a": 2, "b": 3}</function>', 2),
        (FAILED, '<function=add={"a": 2, "b": 3}</function>', 2),  # tashfeenahmed/freellmapi#291
        (FAILED, 'add{"a": 2, "b": 3}</function>', 2),  # huggingface/smolagents#1119
        (FAILED, '<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n</tool_call>', 2),
        (INVALID, '{"name": "add", "arguments": {"a": "2", "b": 3}}', 2),
        (FAILED, "I will add the numbers now.", 3),
        (FAILED, None, 3),
    ],
    ids=["function", "no end of the tag", "no beginning", "tool_call", "json", "text", "nothing"],
)
def test_a_call_that_the_server_could_not_parse_is_read_or_asked_for_again(
    said: str, written: str | None, requests: int, status: int
) -> None:
    def failing(asked: Asked) -> Answer:
        error = {"message": said, "type": "invalid_request_error", "code": "tool_use_failed"}
        body = {"error": {**error, **({"failed_generation": written} if written else {})}}
        if len(server.requests) > 1:
            return groq(asked)
        return (
            streamed(delta(reasoning="Hm."), body) if status == 200 else Answer(json.dumps(body).encode(), status=400)
        )

    with serve(failing) as server, Agent(f"groq:llama-3.3-70b-versatile@{server.url}", tools=[add]) as agent:
        result = agent.run("How much is 2 and 3?")
    assert result.output == "It is 5."
    assert ["\n5\n" in str(message["content"]) for message in result.messages if message["role"] == "tool"] == [True]
    assert len(server.requests) >= requests


@pytest.mark.parametrize("said", [{"content": "I look it up."}, {"reasoning": "Hm."}])
@pytest.mark.parametrize("before", ["", "I add. "])
def test_what_was_shown_before_such_a_call_is_taken_back_and_what_is_read_is_shown(said: Any, before: str) -> None:
    written = before + '<function=add>{"a": 2, "b": 3}</function>'
    error = {"message": FAILED, "code": "tool_use_failed", "failed_generation": written, "status_code": 400}
    first = streamed(delta(**said), {"error": error})
    with serve([first, streamed(delta(content="It is 5."), delta("stop"))]) as server:
        with Agent(f"groq:llama-3.3-70b-versatile@{server.url}", tools=[add]) as agent:
            events = list(agent.stream("How much is 2 and 3?"))
    discarded = [index for index, event in enumerate(events) if isinstance(event, ReplyDiscarded)]
    (replied, *_) = [index for index, event in enumerate(events) if isinstance(event, ReplyFinished)]
    assert len(discarded) == 1 < replied
    shown = [event.text for event in events[discarded[0] : replied] if isinstance(event, TextDelta)]
    reply = events[replied].reply  # type: ignore[attr-defined]
    assert "".join(shown).strip() == (reply.message["content"] or "").strip() == before.strip()
    assert json.loads(server.requests[1].raw)["messages"][1].get("content") == reply.message["content"]


def test_a_call_that_is_never_parsed_is_an_error_with_the_words_of_the_server() -> None:
    error = refused(FAILED, code="tool_use_failed", failed_generation="add(2 and 3")
    with serve([error]) as server, Agent(f"groq:m@{server.url}", tools=[add]) as agent:
        with pytest.raises(openai.BadRequestError, match="Failed to call a function"):
            agent.run("How much is 2 and 3?")
    assert len(server.requests) == 2


def test_the_cost_of_a_reply_is_known_by_the_address() -> None:
    pytest.importorskip("genai_prices")
    usage = Usage(input_tokens=1000, output_tokens=1000)
    costs = {
        "openrouter": "meta-llama/llama-3.3-70b-instruct",
        "groq": "llama-3.3-70b-versatile",
        "deepseek": "deepseek-chat",
        "mistral": "mistral-large-latest",
        "together": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "gemini": "gemini-2.5-flash",
    }
    assert costs.keys() == SHORT_NAMES.keys()
    for name, model in costs.items():
        assert known_cost(model, SHORT_NAMES[name].url, usage), name
