"""Answers that are one value without the JSON object around it, or in another one: what surrounds a value is removed
where nothing is lost with it."""

import re
from collections.abc import Iterator
from typing import Any

_FENCED = re.compile(r"```\w*\n(.*?)\n?```", re.DOTALL)
_LABEL = re.compile(r"(?:the |my |final )*answer\s*[:：=]\s*(?=\S)", re.IGNORECASE)
_TAGGED = re.compile(r"<(answer|result|output|value)>(.*)</\1>|\\boxed\{()([^{}]*)\}", re.DOTALL)
_MARKS = ("***", "**", "__", "*", "_", "```", "``", "`", "“”", "‘’", "«»", "「」", '"', "'", "$")
_AFTER_PROSE = re.compile(r"[^\[\]{}]*[:：]\s*(\[.*\])\s*", re.DOTALL)
_WRAPPERS = frozenset(
    ("value", "answer", "result", "response", "output", "data", "final_answer", "arguments", "parameters", "items")
)
_MAX_MARKS = 8


def undecorated(text: str) -> Iterator[str]:
    """Yields the text without a code fence around it, then without more of what may surround a single value: a label,
    tags, emphasis, quotation marks, a full stop."""
    fenced = _FENCED.findall(text)
    text = (fenced[0] if len(fenced) == 1 else text).strip()
    yield text
    if (found := _AFTER_PROSE.fullmatch(text)) is not None:
        yield found[1]
    for _ in range(_MAX_MARKS):
        shorter = _without_one(text)
        if shorter == text or not shorter:
            return
        text = shorter
        yield text


def _without_one(text: str) -> str:
    if (label := _LABEL.match(text)) is not None:
        return text[label.end() :].strip()
    if (tagged := _TAGGED.fullmatch(text)) is not None:
        return (tagged[2] or tagged[4] or "").strip()
    for mark in _MARKS:
        first, last = (mark[0], mark[1]) if mark in ("“”", "‘’", "«»", "「」") else (mark, mark)
        inner = text[len(first) : len(text) - len(last)]
        if text.startswith(first) and text.endswith(last) and inner and first not in inner and last not in inner:
            return inner.strip()
    return text[:-1].rstrip() if text[-1:] in (".", "。") and text[-2:-1] not in (".", "") else text


def in_wrapper(value: Any, name: str) -> Any:
    """Returns what stands under the only key of an object, if that key says no more than that it is the answer; else
    None. name: of the type that is asked for."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    ((key, inner),) = value.items()
    is_wrapper = key.lower() in _WRAPPERS or key.lower() == name.lower() or isinstance(inner, list)
    return inner if is_wrapper else None
