"""What the finish reasons of all servers mean: for text, for calls, for typed answers, and for who reads the result."""

import re
from typing import Any

import openai
import pytest

from agentkit import Agent, tool
from agentkit.backend import Ending, _letters_of, ending_of, is_broken_off
from agentkit.backends import OpenAIBackend
from agentkit.event import ReplyDiscarded, RunFinished, TextDelta
from agentkit.middleware import retry
from agentkit.sessions import SQLiteSessions
from tests.support.http_service import serve_http, settings_for
from tests.support.lightllm_server import Says, serve_lightllm
from tests.support.model_server import Answer, delta, serve, streamed, whole

WORDS: dict[Ending, list[str]] = {
    "stop": [
        *("stop", "end", "eos", "end_turn", "stop_sequence", "eos_token", "completed", "tool_calls", "function_call"),
        *("tool_use", "STOP", "COMPLETE", "EndTurn", "tool-calls", "FinishReason.STOP", "something_new"),
    ],
    "length": [
        *("length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_length", "model_context_window_exceeded"),
        *("token_limit", "max-tokens", "maxTokens", "Length", "FinishReason.MAX_TOKENS", "FINISH_REASON_MAX_TOKENS"),
        *("incomplete", "output_length_exceeded"),
    ],
    "content_filter": [
        *(
            "content_filter",
            "SAFETY",
            "RECITATION",
            "sensitive",
            "blocklist",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
        ),
        *("refusal", "guardrail_intervened", "content-filter", "contentFilter", "content_filtered", "IMAGE_SAFETY"),
        *("output_blocked_by_moderation", "ERROR_TOXIC"),
    ],
    "error": [
        *("error", "abort", "aborted", "network_error", "timeout", "cancelled", "canceled", "overloaded", "OTHER"),
        *("insufficient_system_resource", "MALFORMED_FUNCTION_CALL", "LANGUAGE", "ERROR", "engine_error"),
        *("function_call_filter: MALFORMED_FUNCTION_CALL", "request-timed-out", "rate_limit_exceeded"),
    ],
}
NOTHING = ["", "null", "None", "unknown", "FINISH_REASON_UNSPECIFIED", "not_finished"]


def some(*endings: Ending) -> list[str]:
    return [word for ending in endings for word in WORDS[ending][:12:3]]


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PAUSE", 0.0)


@pytest.mark.parametrize(("ending", "word"), [(ending, word) for ending in WORDS for word in WORDS[ending]])
def test_a_word_has_one_meaning(ending: Ending, word: str) -> None:
    assert ending_of(word) == ending
    assert is_broken_off(word) == (ending != "stop")


@pytest.mark.parametrize("word", NOTHING)
def test_a_word_that_says_nothing_is_no_end(word: str) -> None:
    assert ending_of(word) is None
    assert not is_broken_off(word)


HALF = "The answer is forty-"


def half(reason: Any, stream: bool) -> Answer:
    return streamed(delta(content=HALF), delta(reason)) if stream else whole(HALF, finish_reason=reason)


def ran(answers: list[Answer], stream: bool, **options: Any) -> tuple[Any, list[Any], int]:
    with serve(answers) as server, Agent(f"openai:m@{server.url}", **options) as agent:
        if not stream:
            return agent.run("Go."), [], len(server.requests)
        events = list(agent.stream("Go."))
        last = events[-1]
        assert isinstance(last, RunFinished)
        return last.result, events, len(server.requests)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("word", [*some("stop"), "null"])
def test_a_reply_that_ended_is_an_answer(word: str, stream: bool) -> None:
    result, _, asked = ran([half(word, stream)], stream)
    assert (result.output, result.stopped, asked) == (HALF, "answer", 1)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("word", "stopped"), [(word, kind) for kind in ("length", "content_filter") for word in WORDS[kind][::3]]
)
def test_a_reply_that_was_cut_off_is_no_answer(word: str, stopped: str, stream: bool) -> None:
    result, _, asked = ran([half(word, stream)], stream)
    assert (result.output, result.stopped, asked) == (HALF, stopped, 1)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("word", some("error"))
def test_a_reply_that_the_server_broke_off_is_requested_again(word: str, stream: bool) -> None:
    result, events, asked = ran([half(word, stream), whole("Forty-two.")], stream)
    assert (result.output, result.stopped, asked) == ("Forty-two.", "answer", 2)
    assert result.usage.requests == 2
    assert len(result.messages) == 2
    if stream:
        shown = events[[type(event) for event in events].index(ReplyDiscarded) :]
        assert "".join(event.text for event in shown if isinstance(event, TextDelta)) == "Forty-two."


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("text", [HALF, "", None])
def test_a_reply_that_the_server_broke_off_twice_raises(text: str | None, stream: bool) -> None:
    content = {} if text is None else {"content": text}
    answer = streamed(delta(**content), delta("network_error")) if stream else whole(content, finish_reason="abort")
    with serve([answer]) as server, Agent(f"openai:m@{server.url}") as agent:
        with pytest.raises(openai.APIError, match="broke the reply off twice") as raised:
            list(agent.stream("Go.")) if stream else agent.run("Go.")
        assert len(server.requests) == 2
    assert raised.value.messages == [{"role": "user", "content": "Go."}]  # type: ignore[attr-defined]


def test_an_end_that_says_nothing_does_not_end_a_stream_that_breaks() -> None:
    broken = streamed(delta("null", content=HALF), done=False)
    result, _, asked = ran([broken, streamed(delta(content="Forty-two."), delta("stop"))], True)
    assert (result.output, asked) == ("Forty-two.", 2)


@pytest.mark.parametrize("later", ["stop", "tool_calls", "", None])
def test_that_a_reply_was_cut_off_remains_whatever_follows(later: str | None) -> None:
    answer = streamed(delta(content=HALF), delta("length"), delta(later), {"choices": [], "usage": {}})
    assert ran([answer], True)[0].stopped == "length"


@pytest.mark.parametrize("reason", [1, ["stop"], {"type": "stop"}])
def test_a_finish_reason_of_another_type_costs_no_reply(reason: Any) -> None:
    assert ran([half(reason, True)], True)[0].output == HALF


# ---- calls


def call(arguments: str) -> dict[str, Any]:
    return {"id": "c", "type": "function", "function": {"name": "send", "arguments": arguments}}


def called(arguments: str, reason: str, stream: bool) -> Answer:
    made = call(arguments)
    if stream:
        return streamed(delta(tool_calls=[{"index": 0, **made}]), delta(reason))
    return whole({"role": "assistant", "content": None, "tool_calls": [made]}, finish_reason=reason)


def sent_with(arguments: str, reason: str, stream: bool) -> tuple[list[str], Any]:
    sent: list[str] = []

    @tool
    def send(to: str = "nobody") -> str:
        """Send it."""
        sent.append(to)
        return "sent"

    result, _, _ = ran([called(arguments, reason, stream), whole("Done.")], stream, tools=[send])
    assert result.output == "Done."
    return sent, result


@pytest.mark.parametrize(("arguments", "stream"), [('{"to":"bob and al', True), ('{"to":"bob"', False), ("", True)])
@pytest.mark.parametrize("word", some("length", "content_filter", "error"))
def test_a_call_that_was_cut_off_is_told_and_not_run(word: str, arguments: str, stream: bool) -> None:
    sent, result = sent_with(arguments, word, stream)
    assert sent == []
    assert "cut off" in result.tool_calls[0].response


@pytest.mark.parametrize("word", [*some("stop"), "null"])
@pytest.mark.parametrize("arguments", ['{"to":"bob and al', '{"to"'])
def test_a_call_with_an_open_value_is_told_and_not_run_however_the_reply_ended(word: str, arguments: str) -> None:
    sent, result = sent_with(arguments, word, stream=True)
    assert sent == []
    assert "cut off" in result.tool_calls[0].response


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("word", [*some("stop", "length"), "null"])
def test_a_complete_call_is_run(word: str, stream: bool) -> None:
    assert sent_with('{"to":"bob"}', word, stream)[0] == ["bob"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("word", some("content_filter", "error"))
def test_a_complete_call_of_a_reply_that_failed_or_was_filtered_is_told_and_not_run(word: str, stream: bool) -> None:
    sent, result = sent_with('{"to":"bob"}', word, stream)
    assert sent == []
    assert "was not run" in result.tool_calls[0].response


def test_a_call_in_the_text_of_a_filtered_reply_is_not_run() -> None:
    sent: list[str] = []

    @tool
    def send(to: str = "nobody") -> str:
        """Send it."""
        sent.append(to)
        return "sent"

    text = '<tool_call>\n{"name": "send", "arguments": {"to": "bob"}}\n</tool_call>'
    result, _, _ = ran([whole(text, finish_reason="content_filter"), whole("Done.")], False, tools=[send])
    assert (sent, result.output) == ([], "Done.")


# ---- typed answers


@pytest.mark.parametrize("word", ["MAX_TOKENS", "SAFETY", "network_error"])
def test_a_cut_typed_answer_counts_only_when_it_is_complete(word: str) -> None:
    cut, complete = '{"value": 4', '{"value": 42}'
    for text, asked in ((cut, 2), (complete, 1)):
        with serve([whole(text, finish_reason=word), whole(complete)]) as server:
            backend = OpenAIBackend("m", base_url=server.url)
            result = Agent(backend).run("Go.", output=int)
            backend.close()
            assert (result.output, result.stopped, len(server.requests)) == (42, "answer", asked)


# ---- who reads the result


def test_an_answer_that_was_cut_off_stays_so_when_it_is_given_again(tmp_path: Any) -> None:
    with serve([half("MAX_TOKENS", False)]) as server, Agent(f"openai:m@{server.url}") as agent:
        for place in range(2):
            with SQLiteSessions(tmp_path / "sessions.db") as sessions:
                result = agent.run("Go.", session=sessions["s"], request_id="r")
            assert (result.output, result.stopped, result.replayed) == (HALF, "length", place == 1)
        assert len(server.requests) == 1


@pytest.mark.parametrize(("word", "told"), [("MAX_TOKENS", "length"), ("SAFETY", "content_filter"), ("eos", "stop")])
def test_the_http_service_passes_on_how_an_answer_ended(word: str, told: str, tmp_path: Any) -> None:
    with serve([whole(HALF, finish_reason=word)]) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        client = openai.OpenAI(base_url=f"{service.url}/v1", api_key="x")
        asked: Any = [{"role": "user", "content": "Go."}]
        answer = client.chat.completions.create(model="agentkit", messages=asked)
        chunks = list(client.chat.completions.create(model="agentkit", messages=asked, stream=True))
        client.close()
    assert answer.choices[0].finish_reason == told
    assert [each.choices[0].finish_reason for each in chunks if each.choices][-1] == told


@pytest.mark.parametrize("stream", [False, True])
def test_a_text_server_that_breaks_a_reply_off_is_asked_again(stream: bool) -> None:
    with serve_lightllm([Says("Half a", finish_reason="abort"), "A whole one."]) as server:
        with Agent(f"lightllm:Qwen3-8B@{server.url}") as agent:
            result: Any = list(agent.stream("Go."))[-1].result if stream else agent.run("Go.")  # type: ignore[attr-defined]
    assert (result.output, result.stopped) == ("A whole one.", "answer")


def test_a_reason_is_compared_by_its_letters_and_digits() -> None:
    for character in map(chr, range(0x3000)):
        assert _letters_of(f"a{character}") == re.sub(r"[\W_]+", "", f"a{character}".lower())
