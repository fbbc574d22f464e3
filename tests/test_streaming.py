"""A streamed run has the same result as one that is not: calls, text, reasoning, usage and stored messages."""

import json
import random
from typing import Any

import pytest

from agentkit import Agent, tool
from agentkit.event import ReasoningDelta, RunFinished, TextDelta
from tests.support.model_server import Answer, delta, serve, streamed, whole

USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 9,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look something up."""
    return f"All about {topic} — ✓ 北京"


@tool
def note(text: str) -> str:
    """Write something down."""
    return f"noted {text}"


def call(call_id: str, name: str, **arguments: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
    return {"id": call_id, "type": "function", "function": function}


REPLIES: list[dict[str, Any]] = [
    {"content": "Ich sehe nach … 🌦️", "tool_calls": [call("a", "look_up", topic="Fjorde — 峡湾")]},
    {
        "content": None,
        "reasoning_content": "Zwei auf einmal: é, 你好.",
        "tool_calls": [
            call("b", "look_up", topic="x"),
            call("c", "note", text='a "quoted" } text'),
            call("d", "note", text=""),
        ],
    },
    {"content": "Fjorde sind tief. ✓"},
]


def pieces_of(text: str, chance: random.Random) -> list[str]:
    places = sorted(chance.randint(0, len(text)) for _ in range(min(6, len(text))))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def chunks_of(message: dict[str, Any], reason: str, odd: str, chance: random.Random) -> list[dict[str, Any]]:
    """A message as a server streams it, with one of the deviations seen in servers."""
    chunks = [delta(role="assistant", content="")]
    chunks += [delta(reasoning_content=each) for each in pieces_of(message.get("reasoning_content") or "", chance)]
    chunks += [delta(content=each) for each in pieces_of(message.get("content") or "", chance)]
    if odd == "empty choices":
        chunks = [chunk for each in chunks for chunk in (each, {"object": "chat.completion.chunk", "choices": []})]
    if odd == "another choice":
        other = delta(content="not asked for")
        other["choices"][0]["index"] = 1
        chunks.append(other)
    chunks += call_chunks(message.get("tool_calls") or [], odd, chance)
    return [*chunks, delta(reason), {"object": "chat.completion.chunk", "choices": [], "usage": USAGE}]


def call_chunks(made: list[dict[str, Any]], odd: str, chance: random.Random) -> list[dict[str, Any]]:
    sent: list[list[dict[str, Any]]] = []
    for index, each in enumerate(made):
        head = {
            "index": index,
            "id": each["id"],
            "type": "function",
            "function": {"name": each["function"]["name"], "arguments": ""},
        }
        if odd == "late ids":
            head.pop("id")
        sent.append([delta(tool_calls=[head])])
        for piece in pieces_of(each["function"]["arguments"], chance):
            function: dict[str, Any] = {"arguments": piece}
            if odd == "repeated names":
                function["name"] = each["function"]["name"]
            sent[-1].append(delta(tool_calls=[{"index": index, "function": function}]))
        if odd == "late ids":
            sent[-1].append(delta(tool_calls=[{"index": index, "id": each["id"], "function": {}}]))
    if odd != "interleaved":
        return [chunk for chunks in sent for chunk in chunks]
    mixed = []
    while any(sent):
        chosen = chance.choice([chunks for chunks in sent if chunks])
        mixed.append(chosen.pop(0))
    return mixed


def result_of(answers: list[Answer], stream: bool) -> tuple[Any, str, str]:
    with serve(answers) as server, Agent(f"openai:m@{server.url}", tools=[look_up, note]) as agent:
        if not stream:
            return agent.run("Los."), "", ""
        events = list(agent.stream("Los."))
    last = events[-1]
    assert isinstance(last, RunFinished)
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    thoughts = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    return last.result, text, thoughts


ODD = ["plain", "empty choices", "another choice", "late ids", "repeated names", "interleaved"]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_streamed_run_has_the_same_result(odd: str, size: int) -> None:
    reasons = ["tool_calls", "tool_calls", "stop"]
    answers = [
        whole({"role": "assistant", **message}, finish_reason=reason, usage=USAGE)
        for message, reason in zip(REPLIES, reasons, strict=True)
    ]
    expected, _, _ = result_of(answers, stream=False)
    chance = random.Random(odd)
    parts = [
        streamed(*chunks_of(message, reason, odd, chance), piece=size)
        for message, reason in zip(REPLIES, reasons, strict=True)
    ]
    got, text, thoughts = result_of(parts, stream=True)
    assert got.messages == expected.messages
    assert [(each.id, each.name, each.arguments, each.response) for each in got.tool_calls] == [
        (each.id, each.name, each.arguments, each.response) for each in expected.tool_calls
    ]
    for field in ("requests", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "tool_calls"):
        assert getattr(got.usage, field) == getattr(expected.usage, field)
    assert got.stopped == expected.stopped == "answer"
    assert text == "".join(message.get("content") or "" for message in REPLIES)
    assert thoughts == "".join(message.get("reasoning_content") or "" for message in REPLIES)


def test_a_stream_without_usage_is_a_reply_all_the_same() -> None:
    answer = streamed(delta(content="Hi"), delta("stop"))
    result, text, _ = result_of([answer], stream=True)
    assert (result.output, text, result.usage.input_tokens) == ("Hi", "Hi", 0)
