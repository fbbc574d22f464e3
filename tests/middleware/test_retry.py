"""Empty and malformed replies: retried once, then a defined outcome; calls that a server left in the text."""

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest

from agentkit import Agent, tool
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.event import ReplyDiscarded, TextDelta
from agentkit.testing import ScriptedBackend
from tests.support.model_server import Answer, delta, serve, streamed, whole
from tests.support.raw_server import read_request, serve_raw
from tests.support.waiting import until


@tool(read_only=True)
def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"9 degrees in {city}"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("empty", ["", " \n", {"content": None}, {"content": "", "reasoning_content": "hm"}])
def test_an_empty_reply_is_retried_once(empty: Any, stream: bool) -> None:
    backend = ScriptedBackend(empty, "Here.")
    agent = Agent(backend)
    result = list(agent.stream("Go."))[-1].result if stream else agent.run("Go.")  # type: ignore[attr-defined]
    assert (result.output, result.stopped) == ("Here.", "answer")
    assert result.usage.requests == 2
    assert [message["role"] for message in result.messages] == ["user", "assistant"]


def test_a_reply_that_is_empty_twice_has_an_outcome_of_its_own() -> None:
    backend = ScriptedBackend("", "  ")
    result = Agent(backend).run("Go.")
    assert (result.output.strip(), result.stopped) == ("", "empty")
    assert len(backend.requests) == 2


def test_a_refusal_is_an_answer_and_not_retried() -> None:
    backend = ScriptedBackend({"content": None, "refusal": "I won't."})
    result = Agent(backend).run("Go.")
    assert (result.output, result.stopped) == ("I won't.", "answer")


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_empty_reply_with_a_reason_is_not_retried(reason: str) -> None:
    with serve([whole("", finish_reason=reason)]) as server, Agent(f"openai:m@{server.url}") as agent:
        assert agent.run("Go.").stopped == reason
        assert len(server.requests) == 1


LEFT = [
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
    "<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>",
    "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n</tool_call>",
    '[TOOL_CALLS]get_weather{"city": "Oslo"}',
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>"
    '{"city": "Oslo"}<|tool_call_end|><|tool_calls_section_end|>',
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Oslo"}<｜tool▁call▁end｜>',
]


@pytest.mark.parametrize("text", LEFT)
def test_calls_that_a_server_left_in_the_text_are_run(text: str) -> None:
    with serve([whole(f"I look. {text}"), whole("It is 9.")]) as server:
        with Agent(f"openai:m@{server.url}", tools=[get_weather]) as agent:
            result = agent.run("Weather?")
        sent = server.requests[1].body["messages"][1]
    assert result.output == "It is 9."
    assert [(record.name, record.arguments) for record in result.tool_calls] == [("get_weather", {"city": "Oslo"})]
    assert sent["content"].strip() == "I look."
    assert sent["tool_calls"][0]["function"]["name"] == "get_weather"


def test_they_are_run_in_a_streamed_run_too() -> None:
    chunks = [delta(content=piece) for piece in LEFT[0]]
    with serve([streamed(*chunks, delta("stop")), whole("It is 9.")]) as server:
        with Agent(f"openai:m@{server.url}", tools=[get_weather]) as agent:
            events = list(agent.stream("Weather?"))
    assert events[-1].result.output == "It is 9."  # type: ignore[attr-defined]
    assert any(isinstance(event, TextDelta) for event in events)


@pytest.mark.parametrize(
    ("answer", "options", "tools"),
    [
        (whole(LEFT[0]), {"text_calls": False}, [get_weather]),
        (whole(LEFT[0]), {}, []),
        (whole("Write `<tool_call>` to call a tool."), {}, [get_weather]),
        (whole('{"name": "get_weather", "parameters": {"city": "Oslo"}}'), {}, [get_weather]),
    ],
)
def test_text_stays_text_when_it_is_no_call_or_parsing_is_off(answer: Answer, options: Any, tools: Any) -> None:
    with serve([answer]) as server:
        backend = OpenAIBackend("m", base_url=server.url, **options)
        result = Agent(backend, tools=tools).run("Weather?")
        backend.close()
    assert result.tool_calls == []
    assert result.stopped == "answer"


def test_llamas_bare_json_is_a_call_when_the_model_is_a_llama() -> None:
    text = '{"name": "get_weather", "parameters": {"city": "Oslo"}}'
    with serve([whole(text), whole("It is 9.")]) as server:
        with Agent(f"openai:llama-3.1-8b@{server.url}", tools=[get_weather]) as agent:
            assert agent.run("Weather?").output == "It is 9."


def test_an_invalid_call_next_to_a_valid_one_is_reported() -> None:
    text = f"{LEFT[0]}\n<tool_call>\n{{bad}}\n</tool_call>"
    with serve([whole(text), whole("It is 9.")]) as server:
        with Agent(f"openai:m@{server.url}", tools=[get_weather]) as agent:
            result = agent.run("Weather?")
    assert [record.error is None for record in result.tool_calls] == [True, False]
    assert "Write the whole call again" in result.tool_calls[1].response


# ---- calls that are cut off

REASONS = [
    "stop",
    "tool_calls",
    "length",
    "error",
    "content_filter",
    "abort",
    "max_tokens",
    "MAX_TOKENS",
    "model_length",
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("reason", [*REASONS, "insufficient_system_resource"])
@pytest.mark.parametrize(
    "arguments", ['{"to":"bob and al', '{"to":', '{"to":"bob","copies":[1', '{"to":"bob","n":2', "{"]
)
def test_a_call_that_is_cut_off_is_reported_and_never_run(arguments: str, reason: str, stream: bool) -> None:
    sent: list[str] = []

    @tool
    def send(to: str = "nobody", copies: list[int] | None = None, n: int = 1) -> str:
        """Send it."""
        sent.append(to)
        return "sent"

    made = {"id": "c", "type": "function", "function": {"name": "send", "arguments": arguments}}
    message = {"role": "assistant", "content": None, "tool_calls": [made]}
    answer = whole(message, finish_reason=reason)
    if stream:
        answer = streamed(delta(tool_calls=[{"index": 0, **made}]), delta(reason))
    with serve([answer, whole("Sorry.")]) as server, Agent(f"openai:m@{server.url}", tools=[send]) as agent:
        events = list(agent.stream("Send it.")) if stream else []
        result: Any = events[-1].result if stream else agent.run("Send it.")  # type: ignore[attr-defined]
        kept = server.requests[1].body["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert sent == []
    assert "cut off" in result.tool_calls[0].response
    assert json.loads(kept)["unreadable_arguments"] == arguments
    assert result.output == "Sorry."


def test_a_call_whose_last_brace_the_length_limit_took_is_cut_off_too() -> None:
    made = {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"'}}
    message = {"role": "assistant", "content": None, "tool_calls": [made]}
    answers = [whole(message, finish_reason="length"), whole(message, finish_reason="tool_calls"), whole("9.")]
    with serve(answers) as server, Agent(f"openai:m@{server.url}", tools=[get_weather]) as agent:
        result = agent.run("Weather?")
    assert [record.error is None for record in result.tool_calls] == [False, True]


# ---- streams that break


BROKEN = streamed(delta(content="Half a"), done=False, cut=True)


def test_a_broken_stream_is_retried_and_its_deltas_discarded() -> None:
    whole_one = streamed(delta(content="A whole answer."), delta("stop"))
    with serve([BROKEN, whole_one]) as server, Agent(f"openai:m@{server.url}") as agent:
        events = list(agent.stream("Go."))
        assert len(server.requests) == 2
    kinds = [type(event) for event in events]
    place = kinds.index(ReplyDiscarded)
    assert [event.text for event in events[:place] if isinstance(event, TextDelta)] == ["Half a"]
    assert [event.text for event in events[place:] if isinstance(event, TextDelta)] == ["A whole answer."]
    result = events[-1].result  # type: ignore[attr-defined]
    assert result.messages == [{"role": "user", "content": "Go."}, {"role": "assistant", "content": "A whole answer."}]


def test_a_stream_that_breaks_before_its_first_delta_is_retried_silently() -> None:
    nothing = streamed(done=False, cut=True)
    with serve([nothing, streamed(delta(content="Here."), delta("stop"))]) as server:
        with Agent(f"openai:m@{server.url}") as agent:
            events = list(agent.stream("Go."))
    assert not any(isinstance(event, ReplyDiscarded) for event in events)
    assert events[-1].result.output == "Here."  # type: ignore[attr-defined]


def test_a_stream_that_breaks_twice_raises_and_leaves_no_trace() -> None:
    with serve([BROKEN]) as server, Agent(f"openai:m@{server.url}") as agent:
        run = agent.stream("Go.")
        with pytest.raises(openai.APIConnectionError):
            list(run)
        assert len(server.requests) == 2
    assert run.messages == [{"role": "user", "content": "Go."}]


def test_an_unreachable_server_is_not_retried_twice_as_often() -> None:
    backend = OpenAIBackend("m", base_url="http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(openai.APIConnectionError, match="is the server running"):
        list(Agent(backend).stream("Go."))
    backend.close()


CUT_HEAD = b"HTTP/1.1 200 OK\r\ncontent-ty"


@pytest.mark.parametrize("kind", ["own", "client", "lightllm"])
@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("sent", [b"", CUT_HEAD], ids=["nothing", "a part of the head"])
def test_a_server_without_a_response_is_asked_as_often_for_a_stream_as_for_a_whole_reply(
    kind: str, retries: int, sent: bytes
) -> None:
    for stream in (False, True):
        with serve_raw(lambda made, _: made.sendall(sent) if read_request(made) else None) as server:
            url = f"http://127.0.0.1:{server.port}/v1"
            client = openai.OpenAI(base_url=url, api_key="none-key", max_retries=retries)
            made: dict[str, Callable[[], Any]] = {
                "own": lambda: OpenAIBackend("m", base_url=url, max_retries=retries),
                "client": lambda: OpenAIBackend("m", client=client),
                "lightllm": lambda: LightLLMBackend("qwen3", base_url=url, max_retries=retries),
            }
            backend = made[kind]()
            with pytest.raises(openai.APIConnectionError):
                list(Agent(backend).stream("Go.")) if stream else Agent(backend).run("Go.")
            backend.close()
            client.close()
            until(lambda: server.count > retries)
        assert server.count == retries + 1
