"""The backend for OpenAI-compatible servers, against a loopback server that replays real responses."""

import json
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Agent, ConfigurationError, Image, Limits, tool
from agentkit.backend import Request
from agentkit.backends import OpenAIBackend
from agentkit.backends.chat_protocol import Accumulator
from agentkit.event import ReasoningDelta, Reply, TextDelta
from agentkit.middleware.sampling import Sampling
from agentkit.providers import resolve
from agentkit.transcript import Transcript
from tests.support.model_server import Answer, Asked, ModelServer, calls, delta, serve, streamed, whole

SHARED = Path(__file__).parents[3] / "shared" / "cases" / "recorded-exchanges.jsonl"
HELLO = Transcript([{"role": "user", "content": "Hello"}])


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look a topic up."""
    return f"All about {topic}."


def ask(server: ModelServer, *, stream: bool = False, transcript: Transcript = HELLO, **options: Any) -> Reply:
    """The reply of a backend created for one request."""
    backend = OpenAIBackend("m", base_url=server.url, max_retries=0, **options)
    try:
        *_, reply = backend.reply(Request(transcript, stream=stream))
    finally:
        backend.close()
    assert isinstance(reply, Reply)
    return reply


# Recorded responses


def recorded() -> Iterator[Any]:
    if not SHARED.exists():
        yield pytest.param(None, id="absent", marks=pytest.mark.skip(reason="the recorded exchanges are not here"))
        return
    for number, line in enumerate(SHARED.read_text(encoding="utf-8").splitlines()):
        exchange = json.loads(line)
        yield pytest.param(exchange, id=f"{number}-{exchange['provider']}")


def chunks_of(body: str) -> list[dict[str, Any]]:
    """The events of a recorded stream, parsed in the simplest way."""
    lines = (line[5:].strip() for line in body.splitlines() if line.startswith("data:"))
    return [json.loads(line) for line in lines if line != "[DONE]"]


def flat(content: Any) -> tuple[str, str]:
    """The text and the reasoning in a content, which may be parts."""
    if not isinstance(content, list):
        return content or "", ""
    text = "".join(part["text"] for part in content if part["type"] == "text")
    thoughts = "".join(piece["text"] for part in content if part["type"] == "thinking" for piece in part["thinking"])
    return text, thoughts


def told(exchange: dict[str, Any]) -> dict[str, Any]:
    """The expected result of an exchange, computed without the code under test."""
    body = exchange["response"]["body"]
    chunks = chunks_of(body) if isinstance(body, str) else [body]
    text = thoughts = reasoning = ""
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    usage: dict[str, Any] = {}
    for chunk in chunks:
        usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") or usage
        for choice in chunk.get("choices", []):
            piece = choice.get("delta") or choice.get("message") or {}
            more_text, more_thoughts = flat(piece.get("content"))
            text, thoughts = text + more_text, thoughts + more_thoughts
            reasoning += piece.get("reasoning_content") or piece.get("reasoning") or ""
            for place, call in enumerate(piece.get("tool_calls") or []):
                index = call.get("index", place)
                names[index] = names.get(index) or call["function"].get("name") or ""
                arguments[index] = arguments.get(index, "") + (call["function"].get("arguments") or "")
    if text.startswith("<think>"):  # a server that parses no reasoning
        thoughts, text = (part.strip() for part in text.removeprefix("<think>").split("</think>", 1))
    return {
        "text": text,
        "reasoning": reasoning or thoughts,
        "calls": [(names[index], arguments[index] or "{}") for index in sorted(names)],
        "input_tokens": usage.get("prompt_tokens", 0),
        "output_tokens": usage.get("completion_tokens", 0),
    }


def read(reply: Reply) -> dict[str, Any]:
    """The same of a reply."""
    text, thoughts = flat(reply.message["content"])
    return {
        "text": text,
        "reasoning": reply.message.get("reasoning_content") or reply.message.get("reasoning") or thoughts,
        "calls": [
            (call["function"]["name"], call["function"]["arguments"]) for call in reply.message.get("tool_calls", [])
        ],
        "input_tokens": reply.usage.input_tokens,
        "output_tokens": reply.usage.output_tokens,
    }


def as_answer(exchange: dict[str, Any]) -> Answer:
    response = exchange["response"]
    body = response["body"]
    raw = body if isinstance(body, str) else json.dumps(body)
    return Answer(raw.encode(), response["status"], response["content_type"])


def is_refused(exchange: dict[str, Any]) -> bool:
    """Whether the server sent an error, or something that is not a chat completion."""
    return (
        exchange["response"]["status"] >= 400 or exchange["provider"] == "demo" or "sse_error" in exchange["features"]
    )


@pytest.mark.parametrize("exchange", list(recorded()))
def test_a_recorded_exchange_is_read_without_loss(exchange: dict[str, Any]) -> None:
    stream = "streamed" in exchange["features"]
    with serve([as_answer(exchange)]) as server:
        if is_refused(exchange):
            with pytest.raises(openai.APIError) as raised:
                ask(server, stream=stream)
            if exchange["response"]["status"] >= 400:
                assert isinstance(raised.value, openai.APIStatusError)
                assert exchange["response"]["body"]["error"]["message"] in str(raised.value)
            return
        reply = ask(server, stream=stream)
    assert read(reply) == told(exchange)
    ids = [call["id"] for call in reply.message.get("tool_calls", [])]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    Transcript([*HELLO, reply.message])  # it can be sent back


@pytest.mark.parametrize("exchange", list(recorded()))
def test_a_recorded_answer_reads_the_same_when_it_is_streamed(exchange: dict[str, Any]) -> None:
    body = exchange["response"]["body"]
    if isinstance(body, str) or not body.get("choices"):
        return
    with serve([as_answer(exchange), streamed(*in_pieces(body, random.Random(7)))]) as server:
        one, other = ask(server), ask(server, stream=True)
    assert one.message == other.message
    assert (one.finish_reason, one.usage) == (other.finish_reason, other.usage)


def in_pieces(body: dict[str, Any], chance: random.Random) -> list[dict[str, Any]]:
    """A complete response as a server might have streamed it."""
    choice = body["choices"][0]
    message = {key: value for key, value in choice["message"].items() if value is not None}
    chunks = [delta(role="assistant")]
    for key, value in message.items():
        if key in ("content", "reasoning_content", "reasoning") and isinstance(value, str):
            chunks += [delta(**{key: piece}) for piece in cut(value, chance)]
        elif key == "tool_calls":
            for index, call in enumerate(value):
                function = call["function"]
                start = {**call, "index": index, "function": {**function, "arguments": ""}}
                chunks.append(delta(tool_calls=[start]))
                chunks += [
                    delta(tool_calls=[{"index": index, "function": {"arguments": piece}}])
                    for piece in cut(function["arguments"], chance)
                ]
        elif key != "role":
            chunks.append(delta(**{key: value}))
    chunks.append(delta(choice["finish_reason"]))
    return [*chunks, {"choices": [], "usage": body.get("usage")}]


def cut(text: str, chance: random.Random) -> list[str]:
    pieces = []
    while text:
        size = chance.randint(1, 9)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


# Quirks of servers


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param(
            [[{"index": 0, "function": {"name": "a", "arguments": '{"x": 1}'}}]],
            [("a", '{"x": 1}')],
            id="id missing",
        ),
        pytest.param(
            [[{"index": 0, "id": "", "function": {"name": "a", "arguments": "{}"}}]], [("a", "{}")], id="id empty"
        ),
        pytest.param(
            [
                [{"index": 0, "id": "same", "function": {"name": "a", "arguments": "{}"}}],
                [{"index": 1, "id": "same", "function": {"name": "b", "arguments": "{}"}}],
            ],
            [("a", "{}"), ("b", "{}")],
            id="one id for two",
        ),
        pytest.param(
            [
                [{"id": "1", "function": {"name": "a", "arguments": '{"x":'}}],
                [{"function": {"arguments": " 1}"}}],
                [{"id": "2", "function": {"name": "a", "arguments": '{"x": 2}'}}],
            ],
            [("a", '{"x": 1}'), ("a", '{"x": 2}')],
            id="index missing",
        ),
        pytest.param(
            [
                [{"index": 0, "id": "1", "function": {"name": "a", "arguments": '{"x": 1}'}}],
                [{"index": 0, "id": "2", "function": {"name": "b", "arguments": '{"x": 2}'}}],
            ],
            [("a", '{"x": 1}'), ("b", '{"x": 2}')],
            id="index 0 for all",
        ),
        pytest.param(
            [
                [{"index": 0, "function": {"name": "a", "arguments": '{"x": 1}'}}],
                [{"index": 0, "function": {"name": "a", "arguments": '{"x": 2}'}}],
            ],
            [("a", '{"x": 1}'), ("a", '{"x": 2}')],
            id="neither ids nor indices",
        ),
        pytest.param(
            [
                [{"index": 0, "id": "1", "function": {"name": "look_up", "arguments": '{"x"'}}],
                [{"index": 0, "id": "1", "function": {"name": "look_up", "arguments": ": 1}"}}],
            ],
            [("look_up", '{"x": 1}')],
            id="name repeated in every delta",
        ),
        pytest.param(
            [
                [{"index": 0, "id": "1", "function": {"name": "look"}}],
                [{"index": 0, "function": {"name": "_up"}}],
                [{"index": 0, "function": {"arguments": "{}"}}],
            ],
            [("look_up", "{}")],
            id="name in pieces",
        ),
        pytest.param(
            [[{"index": 0, "id": "1", "function": {"name": "a", "arguments": {"x": [1, "é"]}}}]],
            [("a", '{"x": [1, "é"]}')],
            id="arguments as an object",
        ),
        pytest.param(
            [
                [{"index": 0, "id": "1", "function": {"name": "a", "arguments": '{"x"'}}],
                [{"index": 0, "id": "2", "function": {"arguments": ": 1}"}}],
            ],
            [("a", '{"x": 1}')],
            id="another id in every delta",
        ),
        pytest.param(
            [[{"function": {"name": "a", "arguments": ""}}, {"function": {"name": "b", "arguments": ""}}]],
            [("a", "{}"), ("b", "{}")],
            id="two in one delta without ids, indices and arguments",
        ),
        pytest.param(
            [[{"index": 0, "id": "1", "function": {"name": "a", "arguments": ""}}]], [("a", "{}")], id="arguments empty"
        ),
        pytest.param(
            [[{"index": 0, "id": "1", "function": {"name": "a", "arguments": None}}]],
            [("a", "{}")],
            id="arguments null",
        ),
        pytest.param(
            [
                [{"index": 0, "id": "1", "function": {"name": "a", "arguments": "{"}}],
                [{"index": 1, "id": "2", "function": {"name": "b", "arguments": "{"}}],
                [{"index": 0, "function": {"arguments": "}"}}, {"index": 1, "function": {"arguments": "}"}}],
            ],
            [("a", "{}"), ("b", "{}")],
            id="interleaved",
        ),
    ],
)
@pytest.mark.parametrize("finish_reason", ["tool_calls", "stop", None])
def test_tool_calls_are_read_whatever_a_server_does_with_them(
    pieces: list[list[dict[str, Any]]], expected: list[tuple[str, str]], finish_reason: str | None
) -> None:
    with serve([streamed(*(delta(tool_calls=piece) for piece in pieces), delta(finish_reason))]) as server:
        reply = ask(server, stream=True)
    assert read(reply)["calls"] == expected
    Transcript([*HELLO, reply.message])


@pytest.mark.parametrize("marks", [{}, {"index": 0}, {"id": ""}, {"id": "same"}, {"index": None, "id": None}])
@pytest.mark.parametrize("arguments", ["", "{}", None, {}])
def test_each_call_of_a_complete_response_is_a_separate_call(marks: dict[str, Any], arguments: Any) -> None:
    made = [{**marks, "function": {"name": name, "arguments": arguments}} for name in ("a", "b")]
    with serve([whole({"role": "assistant", "content": None, "tool_calls": made})]) as server:
        reply = ask(server)
    assert read(reply)["calls"] == [("a", "{}"), ("b", "{}")]
    Transcript([*HELLO, reply.message])


def test_a_call_cut_off_by_the_length_limit_is_reported_to_the_model_and_never_run() -> None:
    ran = []

    @tool
    def write(text: str = "") -> str:
        """Write a text."""
        ran.append(text)
        return "written"

    for arguments in ('{"text": "half a sen', ""):
        call = {"id": "1", "type": "function", "function": {"name": "write", "arguments": arguments}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        with (
            serve([whole(message, finish_reason="length"), whole("Too long.")]) as server,
            Agent(f"openai:m@{server.url}", tools=[write]) as agent,
        ):
            result = agent.run("Write a novel.")
        assert result.output == "Too long."
        assert result.tool_calls[0].error is not None
        assert "cut off" in result.tool_calls[0].error
        sent = server.requests[1].body["messages"][1]["tool_calls"][0]["function"]["arguments"]
        assert isinstance(json.loads(sent), dict)  # llama.cpp answers 500 to a history with anything else
    assert ran == []


def test_usage_comes_from_the_last_chunk_without_choices() -> None:
    usage = {
        "prompt_tokens": 50,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    with serve([streamed(delta(content="Hi"), delta("stop"), {"choices": [], "usage": usage})]) as server:
        spent = ask(server, stream=True).usage
    assert (spent.input_tokens, spent.cached_tokens, spent.output_tokens, spent.reasoning_tokens) == (50, 40, 7, 3)


def test_stream_options_are_omitted_after_a_server_rejected_them() -> None:
    def answer(asked: Asked) -> Answer:
        if "stream_options" in asked.body:
            return Answer(b'{"error": {"message": "Unknown field: stream_options"}}', status=400)
        return streamed(delta(content="Hi"), delta("stop"))

    with serve(answer) as server:
        backend = OpenAIBackend("m", base_url=server.url)
        for _ in range(2):
            *_, reply = backend.reply(Request(HELLO, stream=True))
            assert isinstance(reply, Reply)
            assert reply.message["content"] == "Hi"
        backend.close()
    assert ["stream_options" in asked.body for asked in server.requests] == [True, False, False]


def test_a_complete_response_to_a_streaming_request_is_read() -> None:
    with serve([whole("Hello there")]) as server:
        assert ask(server, stream=True).message["content"] == "Hello there"


def test_reasoning_is_kept_and_sent_back_under_the_name_the_server_gave_it() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": '{"topic": "fjords"}'}}
    for key in ("reasoning_content", "reasoning"):
        thinking = {"role": "assistant", "content": None, key: "Hm, fjords.", "tool_calls": [call]}
        with (
            serve([whole(thinking, finish_reason="tool_calls"), whole("Done.")]) as server,
            Agent(f"openai:m@{server.url}", tools=[look_up]) as agent,
        ):
            agent.run("What are fjords?")
        assert server.requests[1].body["messages"][1][key] == "Hm, fjords."


def test_thought_signatures_of_calls_are_sent_back() -> None:
    call = {
        "id": "1",
        "type": "function",
        "function": {"name": "look_up", "arguments": '{"topic": "x"}'},
        "extra_content": {"google": {"thought_signature": "abc="}},
    }
    with (
        serve([whole({"role": "assistant", "tool_calls": [call]}), whole("Done.")]) as server,
        Agent(f"openai:m@{server.url}", tools=[look_up]) as agent,
    ):
        agent.run("Look x up.")
    assert server.requests[1].body["messages"][1]["tool_calls"][0]["extra_content"] == call["extra_content"]


def test_the_prompt_of_each_request_of_a_run_begins_with_the_bytes_of_the_one_before() -> None:
    with (
        serve([calls(("look_up", {"topic": "a"})), calls(("look_up", {"topic": "b"})), whole("Done.")]) as server,
        Agent(f"openai:m@{server.url}", tools=[look_up], instructions="Be brief.") as agent,
    ):
        agent.run("Go.")
    raw = [asked.raw[asked.raw.index(b'"tools"') :] for asked in server.requests]  # whether it streams is before
    assert raw[1].startswith(raw[0].removesuffix(b"]}"))
    assert raw[2].startswith(raw[1].removesuffix(b"]}"))


def test_one_connection_serves_a_whole_run() -> None:
    with (
        serve([calls(("look_up", {"topic": "a"}))] * 5 + [whole("Done.")]) as server,
        Agent(f"openai:m@{server.url}", tools=[look_up], limits=Limits(repeats=None)) as agent,
    ):
        agent.run("Go.")
    assert server.connections == 1


def test_one_connection_serves_a_whole_run_of_streams() -> None:
    call = delta(tool_calls=[{"index": 0, "id": "c", "function": {"name": "look_up", "arguments": '{"topic": "a"}'}}])
    with (
        serve([streamed(call, delta("tool_calls"))] * 5 + [streamed(delta(content="Done."), delta("stop"))]) as server,
        Agent(f"openai:m@{server.url}", tools=[look_up], limits=Limits(repeats=None)) as agent,
    ):
        assert list(agent.stream("Go."))[-1].result.output == "Done."  # type: ignore[attr-defined]
    assert server.connections == 1


def test_a_server_that_does_not_end_its_stream_after_done_is_not_waited_for() -> None:
    endless = streamed(delta(content="Done."), delta("stop"))
    with serve([replace(endless, linger=5.0)]) as server, Agent(f"openai:m@{server.url}") as agent:
        openai.OpenAI(api_key="x")  # imports the package, so that its time is not counted
        started = time.monotonic()
        assert list(agent.stream("Go."))[-1].result.output == "Done."  # type: ignore[attr-defined]
        assert time.monotonic() - started < 1.5


def test_text_and_reasoning_are_emitted_as_they_arrive() -> None:
    with serve(
        [streamed(delta(reasoning_content="Hm"), delta(content="A"), delta(content="B"), delta("stop"))]
    ) as server:
        backend = OpenAIBackend("m", base_url=server.url)
        *pieces, _ = backend.reply(Request(HELLO, stream=True))
        backend.close()
    assert pieces == [ReasoningDelta("Hm"), TextDelta("A"), TextDelta("B")]


def test_a_refusal_is_the_answer() -> None:
    with (
        serve([whole({"role": "assistant", "content": None, "refusal": "I can't help with that."})]) as server,
        Agent(f"openai:m@{server.url}") as agent,
    ):
        assert agent.run("Do evil.").output == "I can't help with that."


def test_an_image_the_server_refuses_becomes_a_placeholder_from_then_on() -> None:
    def answer(asked: Asked) -> Answer:
        if b"image_url" in asked.raw:
            return Answer(b'{"error": {"message": "image input is not supported"}}', status=400)
        return whole("I see nothing.")

    with serve(answer) as server:
        backend = OpenAIBackend("m", base_url=server.url, max_retries=0)
        agent = Agent(backend)
        for _ in range(2):
            result = agent.run(["What is this?", Image(b"\x89PNG", "image/png")])
        backend.close()
    assert "image_url" in json.dumps(result.messages[0])  # the transcript keeps it for another server
    assert [b"image_url" in asked.raw for asked in server.requests] == [True, False, False]
    assert b"does not accept images" in server.requests[-1].raw


def test_sampling_fields_are_sent_and_tool_choice_only_with_tools() -> None:
    with serve([whole("Hi")]) as server:
        options: dict[str, Any] = {"temperature": 0.5, "tool_choice": "required", "top_p": None}
        ask(server, **options)
        backend = OpenAIBackend("m", base_url=server.url, **options)
        list(Agent(backend, tools=[look_up]).stream("Hi"))
        backend.close()
    without, with_tools = server.requests[0].body, server.requests[1].body
    assert without["temperature"] == 0.5
    assert "tool_choice" not in without
    assert "top_p" not in without
    assert with_tools["tool_choice"] == "required"


def test_other_sampling_goes_through_the_same_connections() -> None:
    with serve([whole("Hi")]) as server:
        backend = OpenAIBackend("m", base_url=server.url, temperature=0.5, top_p=0.9)
        for each in (backend, Sampling(backend, {"temperature": 0.1, "top_p": None}), backend):
            assert Agent(each).run("Hi").output == "Hi"
        assert server.connections == 1
        backend.close()
        with pytest.raises(ConfigurationError, match="is closed"):
            Agent(Sampling(backend, {"seed": 1})).run("Hi")
    assert [asked.body.get("temperature") for asked in server.requests] == [0.5, 0.1, 0.5]
    assert [asked.body.get("top_p") for asked in server.requests] == [0.9, None, 0.9]


# Errors


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (Answer(b"<html>Welcome to nginx</html>", content_type="text/html"), openai.APIError, "base URL"),
        (Answer(b"", content_type="application/json"), openai.APIError, "not a chat completion"),
        (Answer(b'{"choices": []}'), openai.APIError, "empty reply"),
        (Answer(b'{"error": {"message": "model is gone"}}'), openai.APIError, "model is gone"),
        (Answer(b'{"error": "plain text"}'), openai.APIError, "plain text"),
        (Answer(b'{"choices": [{"message": {"tool_calls": [null]}}]}'), openai.APIError, "not a valid chat completion"),
        (Answer(b'{"choices": ["text"]}'), openai.APIError, "not a valid chat completion"),
        (Answer(b'{"error": {"message": "no such key"}}', status=401), openai.AuthenticationError, "no such key"),
        (Answer(b'{"message": "slow down"}', status=429), openai.RateLimitError, "slow down"),
        (Answer(b"<html>Bad gateway</html>", 502, "text/html"), openai.InternalServerError, "502"),
        (Answer(b"oops", 418, "text/plain"), openai.APIStatusError, "418"),
    ],
)
def test_an_invalid_response_is_an_error_of_the_right_class(
    answer: Answer, error: type[Exception], says: str, stream: bool
) -> None:
    with serve([answer]) as server, pytest.raises(error, match=says):
        ask(server, stream=stream)


def test_html_instead_of_json_says_to_check_the_base_url() -> None:
    with serve([Answer(b"<html>Hi</html>", content_type="text/html")]) as server:
        with pytest.raises(openai.APIError, match="is the base URL right"):
            ask(server)


@pytest.mark.parametrize(
    "answer", [streamed(), streamed(delta(role="assistant")), Answer(b"", content_type="text/event-stream")]
)
def test_an_empty_reply_is_reported(answer: Answer) -> None:
    with serve([answer]) as server, pytest.raises(openai.APIError, match="empty reply"):
        ask(server, stream=True)


def test_an_error_in_the_middle_of_a_stream_is_raised_and_the_transcript_stays_valid() -> None:
    error = {"error": {"message": "out of memory", "code": 500}}
    with serve([streamed(delta(content="Half a"), error)]) as server:
        run = Agent(OpenAIBackend("m", base_url=server.url)).stream("Hello")
        with pytest.raises(openai.APIError, match="out of memory"):
            list(run)
    assert run.messages == [{"role": "user", "content": "Hello"}]


def test_a_stream_that_is_cut_is_a_connection_error() -> None:
    with (
        serve([streamed(delta(content="Half a"), done=False, cut=True)]) as server,
        pytest.raises(openai.APIConnectionError),
    ):
        ask(server, stream=True)


def test_an_event_that_is_not_json_is_reported() -> None:
    with serve([Answer(b"data: {broken\n\n", content_type="text/event-stream")]) as server:
        with pytest.raises(openai.APIError, match="not JSON"):
            ask(server, stream=True)


def test_an_unreachable_server_is_a_connection_error_with_the_messages() -> None:
    with serve([whole("")]) as server:
        url = server.url
    backend = OpenAIBackend("m", base_url=url, max_retries=0)
    with pytest.raises(openai.APIConnectionError, match=f"Connection error: {url}/chat/completions") as raised:
        Agent(backend).run("Hello")
    backend.close()
    assert raised.value.messages == [{"role": "user", "content": "Hello"}]  # type: ignore[attr-defined]


def test_a_request_to_a_busy_server_is_retried() -> None:
    busy = Answer(b'{"error": {"message": "busy"}}', status=503, headers={"retry-after-ms": "10"})
    with serve([busy, whole("Here I am.")]) as server:
        backend = OpenAIBackend("m", base_url=server.url)
        assert Agent(backend).run("Hello").output == "Here I am."
        backend.close()


def test_a_key_that_a_server_repeats_does_not_reach_the_error() -> None:
    key = "sk-very-secret-key"
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {key}", "code": "invalid_api_key"}})
    with serve([Answer(body.encode(), status=401)]) as server, pytest.raises(openai.AuthenticationError) as raised:
        ask(server, api_key=key)
    error = raised.value
    assert key not in f"{error} {error.message} {error.body} {error.args!r}"


def test_a_password_in_the_address_does_not_reach_errors_and_reprs() -> None:
    with serve([Answer(b"<html/>", content_type="text/html")]) as server:
        url = server.url.replace("//", "//me:open-sesame@")
        backend = OpenAIBackend("m", base_url=url, max_retries=0)
        with pytest.raises(openai.APIError) as raised:
            Agent(backend).run("Hello")
        backend.close()
    backend = OpenAIBackend("m", base_url=url, max_retries=0)
    with pytest.raises(openai.APIConnectionError) as gone:
        Agent(backend).run("Hello")
    backend.close()
    assert "sesame" not in f"{raised.value} {gone.value} {backend!r} {Agent(backend)!r}"


def test_a_closed_backend_raises() -> None:
    backend = OpenAIBackend("m", base_url="http://127.0.0.1:9/v1")
    backend.close()
    with pytest.raises(ConfigurationError, match="closed"):
        list(backend.reply(Request(HELLO)))


# Names of models


@pytest.mark.parametrize(
    ("name", "model", "url"),
    [
        ("openai:gpt-5-mini@http://localhost:8000", "gpt-5-mini", "http://localhost:8000/v1"),
        ("openai:gpt-5-mini@http://localhost:8000/v1", "gpt-5-mini", "http://localhost:8000/v1"),
        ("openai:m@http://host?key=abc", "m", "http://host/v1?key=abc"),
        ("openai:m@http://host/?key=abc/d", "m", "http://host/v1?key=abc/d"),
        ("openai:m@http://host/v1?key=abc", "m", "http://host/v1?key=abc"),
        ("openai:user@corp/model@https://host/api/v2/", "user@corp/model", "https://host/api/v2/"),
        ("llamacpp:", "default", "http://localhost:8080/v1"),
        ("llamacpp:@http://box:9", "default", "http://box:9/v1"),
        ("ollama:llama3.2:3b", "llama3.2:3b", "http://localhost:11434/v1"),
        ("vllm:Qwen/Qwen3-8B", "Qwen/Qwen3-8B", "http://localhost:8000/v1"),
    ],
)
def test_a_name_specifies_model_and_server(name: str, model: str, url: str) -> None:
    backend = resolve(name, {})
    assert isinstance(backend, OpenAIBackend)
    assert (backend.model, backend.base_url) == (model, url)


def test_the_environment_gives_key_and_server() -> None:
    with serve([whole("Hi")]) as server:
        backend = resolve("openai:m", {"OPENAI_API_KEY": "sk-test-key", "OPENAI_BASE_URL": server.url})
        Agent(backend).run("Hello")
        backend.close()
    assert server.requests[0].headers["authorization"] == "Bearer sk-test-key"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("openai:gpt-5-mini", "OPENAI_API_KEY"),
        ("openai:", "contains no model name"),
        ("vllm:", "contains no model name"),
        ("opnai:gpt-5-mini", "use one of openai"),
        ("gpt-5-mini", "provider:model"),
        ("", "provider:model"),
        ("extractive:x", "takes no model"),
        ("gguf:", "gguf:PATH"),
        ("gguf:/no/such/file.gguf", "GGUF file .* not found"),
    ],
)
def test_a_name_that_can_not_be_used_says_what_to_set(name: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        resolve(name, {})


def test_a_reserved_field_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="messages"):
        OpenAIBackend("m", base_url="http://x/v1", messages=[])


@pytest.mark.parametrize(
    "value", [{1, 2}, object(), float("nan"), {"day": {object()}}, b"x"], ids=lambda each: type(each).__name__
)
def test_a_sampling_value_that_is_no_json_is_the_mistake_of_the_program(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"logit_bias=.* can't be sent as JSON"):
        OpenAIBackend("m", base_url="http://127.0.0.1:9/v1", logit_bias=value)
    with serve([whole("From A.")]) as server, serve([whole("From B.")]) as other:
        both = [OpenAIBackend("m", base_url=each.url) for each in (server, other)]
        for agent in (Agent(both), Agent(both[0])):
            with pytest.raises(ConfigurationError, match=r"logit_bias=.* can't be sent as JSON"):
                agent.run("Hi", sampling={"logit_bias": value})
        assert not server.requests
        assert not other.requests
        assert Agent(both).run("Hi", sampling={"logit_bias": {"5": 1}}).output == "From A."


# The accumulator


text = st.text(st.characters(codec="utf-8"), max_size=40)


@settings(deadline=None)
@given(
    content=text,
    reasoning=text,
    made=st.lists(
        st.tuples(st.sampled_from(["a", "bc"]), st.dictionaries(text, st.integers() | text, max_size=3)), max_size=3
    ),
    seed=st.integers(0, 1000),
)
def test_a_reply_is_the_same_however_it_is_split(
    content: str, reasoning: str, made: list[tuple[str, dict[str, Any]]], seed: int
) -> None:
    message: dict[str, Any] = {"role": "assistant", "content": content, "reasoning_content": reasoning}
    if made:
        message["tool_calls"] = [
            {"id": f"c{place}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for place, (name, arguments) in enumerate(made)
        ]
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}
    one, other = Accumulator("x"), Accumulator("x")
    list(one.feed(body))
    deltas = [piece for chunk in in_pieces(body, random.Random(seed)) for piece in other.feed(chunk)]
    assert one.reply() == other.reply()
    assert "".join(piece.text for piece in deltas if isinstance(piece, TextDelta)) == content
