"""Asks at the terminal for approval of the tool calls that need it, and for the answers to what tools ask."""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from agentkit._text import cut
from agentkit.cli.printable import printable
from agentkit.event import OpenCall
from agentkit.tooling.questions import Question

NO_TERMINAL = "no terminal to ask for approval"


Decision = bool | str | dict[str, Any]


def decided(calls: Iterable[OpenCall]) -> dict[str, Decision]:
    """Returns the decision on each call by its id: True, False, a reason for a refusal, or an answer to what it asks.

    Without a terminal every call is refused."""
    return {call.id: _ask(call) if sys.stdin.isatty() else NO_TERMINAL for call in calls}


def _ask(call: OpenCall) -> Decision:
    args = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in call.arguments.items())
    print(printable(f"? {call.name}({args})"), file=sys.stderr)
    if call.reason:
        print(printable(f"  Why you are asked: {call.reason}"), file=sys.stderr)
    if call.question is not None:
        return _answer(call.question)
    return _allowed("Allow? [y]es, [n]o, or type a reason for refusing")


def _allowed(prompt: str) -> bool | str:
    answer = _read(prompt)
    if answer.lower() in ("y", "yes"):
        return True
    return False if answer.lower() in ("", "n", "no") else answer


def _answer(question: Question) -> Decision:
    """The answer to what a tool asks: one line for each property of its schema, "-" to refuse."""
    problem = f" ({question.problem})" if question.problem else ""
    print(printable(f"  It asks: {question.text}{problem}"), file=sys.stderr)
    properties = (question.schema or {}).get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return _allowed("Answer [y]es, [n]o, or type a reason for refusing")
    values: dict[str, Any] = {}
    for name, described in properties.items():
        written = _read(_described(name, described if isinstance(described, Mapping) else {}))
        if written == "-":
            return False
        if written:
            values[name] = written if described.get("type") == "string" else _value(written)
    return values


def _described(name: str, described: Mapping[str, Any]) -> str:
    """The prompt for one value. described: its schema."""
    title = described.get("title") or described.get("description") or name
    choices = described.get("enum")
    one_of = f" [{' | '.join(map(str, choices))}]" if isinstance(choices, list) else ""
    return f"{cut(str(title), 200)}{cut(one_of, 500)} (- refuses)"


def _value(written: str) -> Any:
    try:
        return json.loads(written)
    except ValueError:
        return written


def _read(prompt: str) -> str:
    print(printable(f"  {prompt}: "), end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()
