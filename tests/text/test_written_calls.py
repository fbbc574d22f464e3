"""How each family writes calls and reasoning: tests/cases/calls, one file for each family.

A row: "text" is what the model writes; "calls" are the pairs of a name and its arguments, "content" and "reasoning" the
rest that are right. "tools": schemas, in place of TOOLS. "thinking": the prompt has opened the reasoning. "model": a
name of the family with another variant. "left": false where the text, left in the reply of a chat completions server
that knows nothing of the format, is no call there, with the reason in "why"; or what is right there, where it differs.
"""

import json
import random
from typing import Any

import pytest

from agentkit.text.call_format import BadCall, Call, Text, Thought, resolve_reasoning
from agentkit.text.families import families, family_named
from agentkit.text.parser import ReplyParser
from tests.backends.test_fallback_calls import Genuine, chat_reply, tools_for
from tests.support.official_prompts import CASES

TOOLS: list[dict[str, Any]] = [
    {
        "name": "get_weather",
        "parameters": {
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "exact": {"type": "boolean"},
                "level": {"type": "number"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "opts": {"type": "object"},
                "note": {"type": ["string", "null"]},
            },
        },
    },
    {"name": "now", "parameters": {"properties": {}}},
]


def rows() -> list[Any]:
    return [
        pytest.param(path.stem, row, id=f"{path.stem} {index}")
        for path in sorted((CASES / "calls").glob("*.jsonl"))
        for index, row in enumerate(map(json.loads, path.read_text(encoding="utf-8").splitlines()))
    ]


def cuts(text: str) -> list[list[str]]:
    """Returns the text whole, in single characters, and cut at random."""
    chance = random.Random(text)
    places = sorted(chance.randint(0, len(text)) for _ in range(5))
    return [
        [text],
        list(text),
        [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)],
    ]


@pytest.mark.parametrize(("family", "row"), rows())
def test_a_reply_of_the_family_is_parsed(family: str, row: dict[str, Any]) -> None:
    found = family_named(family).varied_for(row.get("model", ""))
    for pieces in cuts(row["text"]):
        parser = ReplyParser(found.format, row.get("tools", TOOLS), thinking=row.get("thinking", False))
        parts = [part for piece in pieces for part in parser.feed(piece)]
        parts = resolve_reasoning([*parts, *parser.finish()])
        assert not [part for part in parts if isinstance(part, BadCall)]
        calls = [[part.name, json.loads(part.arguments)] for part in parts if isinstance(part, Call)]
        assert calls == row["calls"]
        assert "".join(part.text for part in parts if isinstance(part, Text)).strip() == row.get("content", "").strip()
        thoughts = "".join(part.text for part in parts if isinstance(part, Thought)).strip()
        assert thoughts == row.get("reasoning", "").strip()


@pytest.mark.parametrize(("family", "row"), [each for each in rows() if each.values[1].get("left") is not False])
def test_it_is_read_where_another_server_left_it_in_the_text(family: str, row: dict[str, Any]) -> None:
    wanted = {**row, **row.get("left", {})}
    calls = [(name, arguments) for name, arguments in wanted["calls"]]
    tools = tools_for(calls, row.get("tools", TOOLS))
    for pieces in cuts(row["text"]):
        reply, _ = chat_reply(Genuine("some", row["text"], calls, tools), pieces)
        made = reply.message.get("tool_calls") or []
        found = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in made]
        assert found == calls
        content = str(reply.message["content"] or "")
        assert content.strip() == wanted.get("content", "").strip()


def test_every_format_has_a_call_without_arguments_and_two_calls() -> None:
    of_format: dict[str, list[list[Any]]] = {}
    for each in rows():
        family, row = each.values
        of_format.setdefault(family_named(family).format.name, []).append(row["calls"])
    for name in {family.format.name for family in families()}:
        assert any(["now", {}] in calls for calls in of_format[name]), name
        assert any(len(calls) > 1 for calls in of_format[name]), name
