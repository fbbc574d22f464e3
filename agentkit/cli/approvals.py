"""Asks at the terminal for approval of the tool calls that need it, and for the answers to what tools ask."""

import json
import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from agentkit._text import cut
from agentkit.cli.printable import printable
from agentkit.event import OpenCall
from agentkit.tooling.questions import Question

NO_TERMINAL = "no terminal to ask for approval"


_TRUTH = {"yes": True, "y": True, "no": False, "n": False}

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
    answer = _read(prompt) or ""
    if answer.lower() in ("y", "yes"):
        return True
    return False if answer.lower() in ("", "n", "no") else answer


def _answer(question: Question) -> Decision:
    """The answer to what a tool asks: one line for each property of its schema, "-" and Ctrl-D to refuse."""
    problem = f" ({question.problem})" if question.problem else ""
    print(printable(f"  It asks: {question.text}{problem}"), file=sys.stderr)
    properties = (question.schema or {}).get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return _allowed("Answer [y]es, [n]o, or type a reason for refusing")
    values: dict[str, Any] = {}
    for name, described in properties.items():
        known = _resolved(described, question.schema or {})
        if "items" in known:
            known = {**known, "items": _resolved(known["items"], question.schema or {})}
        written = _read(_described(name, known))
        if written is None or written == "-":
            return False
        if written:
            values[name] = _typed(known, written)
    return values


def _resolved(described: Any, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of a property, also where it is a reference to a definition."""
    found = described if isinstance(described, Mapping) else {}
    place, _, name = str(found.get("$ref", "")).rpartition("/")
    definitions = schema.get(place.removeprefix("#/"))
    target = definitions.get(name) if isinstance(definitions, Mapping) else None
    return {**target, **found} if isinstance(target, Mapping) else found


def _typed(described: Mapping[str, Any], written: str) -> Any:
    """The value that is meant by what is typed: a choice by its value or its title, several with commas between them,
    yes or no, a text where the schema allows one, else JSON."""
    if described.get("type") == "array":
        read = _value(written)
        parts = filter(None, map(str.strip, written.split(",")))
        return read if isinstance(read, list) else [_typed(described.get("items") or {}, each) for each in parts]
    choices = _choices(described)
    for value, title in choices:
        if written == _shown(value) or (title and written.casefold() == title.casefold()):
            return value
    if described.get("type") == "boolean" and not choices and written.lower() in _TRUTH:
        return _TRUTH[written.lower()]
    return written if _may_be_text(described, written) else _value(written)


def _choices(described: Mapping[str, Any]) -> list[tuple[Any, str]]:
    """The values that may be chosen, each with its title ("" for none)."""
    values, titles = described.get("enum"), described.get("enumNames")
    if isinstance(values, list):
        named = isinstance(titles, list) and len(titles) == len(values)
        return [(each, str(titles[place]) if named and titles else "") for place, each in enumerate(values)]
    options = [each for key in ("oneOf", "anyOf") for each in described.get(key) or ()]
    if not all(isinstance(each, Mapping) and "const" in each for each in options):
        return []
    return [(each["const"], str(each.get("title") or "")) for each in options]


def _may_be_text(described: Mapping[str, Any], written: str) -> bool:
    """Whether a schema allows what is typed as a text."""
    choices = described.get("enum", [described["const"]] if "const" in described else None)
    if isinstance(choices, list):
        return written in choices
    kind = described.get("type")
    if kind is not None:
        return kind == "string" or (isinstance(kind, list) and "string" in kind)
    options = [each for key in ("anyOf", "oneOf") for each in described.get(key) or ()]
    return any(isinstance(each, Mapping) and _may_be_text(each, written) for each in options)


def _described(name: str, described: Mapping[str, Any]) -> str:
    """The prompt for one value. described: its schema."""
    title = described.get("title") or described.get("description") or name
    items = described.get("items")
    choices = _choices(described) or (_choices(items) if isinstance(items, Mapping) else [])
    shown = [f"{_shown(value)} ({title})" if title not in ("", value) else _shown(value) for value, title in choices]
    one_of = f" [{' | '.join(shown)}{', several with commas' if items else ''}]" if shown else ""
    default = f" (Enter: {cut(_shown(described['default']), 200)})" if "default" in described else ""
    return f"{cut(str(title), 200)}{cut(one_of, 500)}{default} (- refuses)"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _value(written: str) -> Any:
    try:
        return json.loads(written, parse_constant=_no_json, parse_float=_finite)
    except ValueError:
        return written


def _no_json(word: str) -> Any:
    raise ValueError(word)


def _finite(written: str) -> float:
    number = float(written)
    return number if math.isfinite(number) else _no_json(written)


def _read(prompt: str) -> str | None:
    """A line that is typed; None at the end of the input (Ctrl-D), which is no answer."""
    print(printable(f"  {prompt}: "), end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        print(file=sys.stderr)
    return line.strip() if line else None
