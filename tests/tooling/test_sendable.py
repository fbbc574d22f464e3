"""No value that a server refuses enters a history: it would refuse each later request of the conversation.

Kinds of reports elsewhere: a call's arguments that the server can't parse again (noonghunna/club-3090#1195), half a
surrogate pair in a tool's result (anomalyco/opencode#17758, anthropics/claude-code#86560) and in arguments
(NousResearch/hermes-agent#102757), integers that are rounded on the way to the tool (earendil-works/pi#8943,
google/adk-python#3592).
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Agent, Session, Tool, tool
from agentkit.backends import OpenAIBackend
from agentkit.event import Reply
from agentkit.repair import repaired
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from agentkit.tooling.arguments import as_json_object, is_json_object, is_sendable
from agentkit.tooling.sendable import sendable
from agentkit.transcript import Transcript
from tests.support.growth import assert_linear
from tests.support.llama_server import LlamaServer
from tests.support.model_server import Answer, serve, whole

BIG = 123456789012345678901234567890
HALF = "\ud83d"

ARGUMENTS = [
    '{"x": NaN}',
    '{"x": [Infinity, -Infinity]}',
    '{"x": 1e400}',
    '{"x": -1e0400}',
    f'{{"x": {BIG}}}',
    f'{{"x": {2**64}}}',
    f'{{"x": {-(2**63) - 1}}}',
    f'{{"x": {"9" * 400}}}',
    f'{{"x": {"9" * 5000}}}',
    '{"x": "\\ud800"}',
    '{"x": "\\uDC00 y"}',
    '{"\\ud800": 1}',
    '{"x": "' + HALF + '"}',
    '{"x": "' + HALF + '", "y": ',
    "no json " + HALF,
    '{"x": "a\nb"}',
    "",
]
"""Arguments that a model or a server wrote, and that servers refuse in a history."""


ANSWER = {"role": "assistant", "content": f"{HALF} seen", "reasoning_details": [BIG]}


def calling(arguments: str) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}],
    }


def history(arguments: str) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": "Go."},
        calling(arguments),
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    ]


def strictly(text: bytes | str) -> Any:
    """The value of a JSON text, read as servers read it."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    def number(written: str) -> float:
        value = float(written)
        assert abs(value) <= 1.8e308
        return value

    def integer(written: str) -> int:
        assert -(2**63) <= int(written) < 2**64
        return int(written)

    value = json.loads(text, parse_constant=refuse, parse_float=number, parse_int=integer)
    json.dumps(value, ensure_ascii=False).encode()
    for message in value if isinstance(value, list) else ():
        for call in (message.get("tool_calls") or ()) if isinstance(message, dict) else ():
            strictly(call["function"]["arguments"])
    return value


def sent(messages: Transcript) -> Any:
    return strictly(b"[" + messages.encoded() + b"]")


@pytest.fixture
def session() -> Iterator[Session]:
    with MemorySessions(wait=0.2) as sessions:
        yield sessions["a"]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=range(len(ARGUMENTS)))
def test_arguments_that_servers_refuse_become_text_in_a_transcript(arguments: str) -> None:
    sent(Transcript(history(arguments)))
    assert is_sendable(as_json_object(arguments))


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=range(len(ARGUMENTS)))
def test_a_reply_with_refused_arguments_poisons_neither_the_run_nor_the_session(
    arguments: str, session: Session
) -> None:
    reply = Reply(calling(arguments), "tool_calls")  # type: ignore[arg-type]
    backend = ScriptedBackend(reply, "Done.", "And more.")
    result = Agent(backend).run("Go.", session=session)
    assert Agent(backend).run("More.", session=session).repairs == []
    for request in backend.requests:
        strictly(b"[" + request.body + b"]")
    for entry in session._sessions._read("a", 0):
        strictly(entry)
    strictly(json.dumps(session.messages))
    assert session.messages[: len(result.messages)] == result.messages


def test_llama_cpp_answers_after_each_of_them(llama: LlamaServer) -> None:
    backend = OpenAIBackend("tiny", base_url=llama.url, max_retries=0)
    for arguments in ARGUMENTS:
        messages = [*history(arguments), ANSWER]
        result = Agent(backend, instructions=f"half {HALF}").run(
            f"half {HALF} a pair", messages=messages, sampling={"max_tokens": 2}
        )
        assert result.usage.requests >= 1
    backend.close()


def test_llama_cpp_answers_a_session_that_was_poisoned_earlier(llama: LlamaServer, session: Session) -> None:
    """Such entries were written before arguments were checked."""
    entries = [{"v": 1, "at": "", "message": message} for message in history('{"x": NaN, "y": "\\ud800"}')]
    entries.append(
        {"v": 1, "at": "", "message": {"role": "assistant", "content": "\ud800", "reasoning_details": [BIG]}}
    )
    texts = [json.dumps(entry) for entry in entries]
    with session.hold() as writer:
        session._sessions._append("a", texts, {}, writer._lock)
    backend = OpenAIBackend("tiny", base_url=llama.url, max_retries=0)
    result = Agent(backend).run("Go on.", session=session, sampling={"max_tokens": 2})
    assert [each.split(" has ")[0] for each in result.repairs] == ["messages[1]", "messages[3]"]
    assert "in the arguments of a tool call" in result.repairs[0]
    assert list(session._sessions._read("a", 0))[: len(texts)] == texts  # the log is not rewritten
    backend.close()


@pytest.mark.parametrize("written", [str(BIG), f'"{BIG}"'])
def test_an_integer_of_any_size_reaches_a_tool_intact(written: str) -> None:
    given: list[object] = []

    @tool
    def f(x: int) -> str:
        """Take a number."""
        given.append(x)
        return "ok"

    schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    by_schema: Tool[..., Any] = Tool("f", "Take a number.", schema, f)
    reply = Reply(calling(f'{{"x": {written}}}'), "tool_calls")  # type: ignore[arg-type]
    for each in (f, by_schema):
        given.clear()
        backend = ScriptedBackend(reply, "Done.")
        Agent(backend, tools=[each]).run("Go.")
        assert given == [BIG]
        assert strictly(b"[" + backend.requests[1].body + b"]")[1]["tool_calls"][0]["function"]["arguments"] == (
            f'{{"x": "{BIG}"}}'
        )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (f"half {HALF}", "half \ufffd"),
        ([float("nan"), {"x": float("inf")}], '[NaN, {"x": Infinity}]'),
        ({HALF: BIG}, f'{{"\ufffd": {BIG}}}'),
    ],
    ids=["text", "list", "object"],
)
def test_a_tool_result_is_text_that_servers_read(
    value: Any, text: str, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "agentkit")  # pytest-xdist can't send a log with half of a surrogate pair

    @tool
    def measure() -> Any:
        """Measure."""
        return value

    @tool
    def fail() -> str:
        """Fail."""
        raise ValueError(HALF)

    backend = ScriptedBackend([("measure", {}), ("fail", {})], "Done.")
    result = Agent(backend, tools=[measure, fail]).run("Go.", session=session)
    assert result.tool_calls[0].response == text
    assert "\ufffd" in result.tool_calls[1].response
    assert text in strictly(b"[" + backend.requests[1].body + b"]")[2]["content"]
    assert session.messages == result.messages


def test_what_a_server_adds_to_a_reply_is_sent_back_as_text(session: Session) -> None:
    """Python reads NaN and numbers of any size in a response, and would send them back."""
    body = whole("Hello.").body.replace(
        b'"content"', b'"reasoning_details": [NaN, 1e999, 123456789012345678901, "\\ud800"], "content"'
    )
    with serve([Answer(body)]) as server, Agent(f"openai:m@{server.url}") as agent:
        agent.run("Go.", session=session)
        agent.run("More.", session=session)
        detail = strictly(json.dumps(server.requests[1].body["messages"]))[1]["reasoning_details"]
    assert detail == ["NaN", "Infinity", "123456789012345678901", "\ufffd"]
    strictly(json.dumps(session.messages))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5) | st.just(HALF),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(values)
@settings(deadline=None, max_examples=200)
def test_whatever_is_in_a_message_it_is_sent_as_valid_json(value: Any) -> None:
    message = {"role": "assistant", "content": "x", "extra_content": value}
    made, repairs = repaired([message])
    assert sent(Transcript([message])) == sent(Transcript(made))
    assert repaired(made) == (made, [])
    assert bool(repairs) == (made != [message])
    arguments = json.dumps({"x": value})
    assert is_json_object(as_json_object(arguments))
    strictly(as_json_object(arguments))
    assert sendable(message) == sendable(sendable(message))


@pytest.mark.parametrize("part", ["9", "NaN,", "\\ud800", HALF, "1e999,", f"{BIG},", "[", "e"], ids=range(8))
def test_the_time_is_linear(part: str) -> None:
    assert_linear(lambda size: as_json_object('{"x": [' + part * (size // len(part))), 100_000)
    assert_linear(lambda size: as_json_object('{"x": "' + part * (size // len(part)) + '"}'), 100_000)


def test_a_key_of_a_message_is_readable_too() -> None:
    assert list(sendable({"role": "user", "content": "Hi", HALF: "x"})) == ["role", "content", "\ufffd"]
