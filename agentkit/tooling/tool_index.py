"""Finds tools by the words of a question."""

import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from agentkit.retrieval.near_words import near, stem
from agentkit.retrieval.term_index import Described, TermIndex, described, weighted
from agentkit.retrieval.words import PREFIX, all_words, content_words
from agentkit.tools import Tool

NAME, DESCRIPTION, PARAMETERS = 2.0, 1.0, 0.5
"""The weights of a word in the name of a tool (or of the place that it is from), its description, its parameters."""
BEGINNING, NEAR, PARTS = 0.4, 0.3, 0.3
"""The weights of a word that begins as one of the question does, of one that means nearly the same, and of the parts of
a word that is written together (`getWeather`)."""
MAX_TEXT = 2000
"""Characters of a description, and of a question, that are read."""
MAX_NODES = 300
"""Parts of a schema that are read."""
MAX_PARAMETERS = 20_000
"""Characters that are read of what a schema says."""

_MARGINS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_.:/-]")
"""Where the words of a name meet: `getHTTPStatus`, `weather.get_forecast`."""
_NUMBERED = re.compile(r"[a-z]{3,}(?=[0-9])")


class ToolIndex:
    """An index of tools. It does not change; what it has made of a tool is kept for the next one.

    tools: each with a word for the place that it is from (a server, a module), or "".
    """

    def __init__(self, tools: Iterable[tuple[Tool[..., Any], str]]) -> None:
        given = list(tools)
        self._tools = [tool for tool, _ in given]
        self._index = TermIndex(_described(tool, place) for tool, place in given)

    def best(self, question: str, count: int) -> list[Tool[..., Any]]:
        """The tools that have words of a question, best first, `count` at most."""
        return [self._tools[number] for number in self._index.best(_terms_of(question[:MAX_TEXT]), count)]


_kept: "WeakKeyDictionary[Tool[..., Any], tuple[str, Described]]" = WeakKeyDictionary()


def _described(tool: Tool[..., Any], place: str) -> Described:
    known = _kept.get(tool)
    if known is None or known[0] != place:
        known = _kept[tool] = place, described(_parts(tool, place))
    return known[1]


def _parts(tool: Tool[..., Any], place: str) -> Iterator[dict[str, float]]:
    function = tool.schema["function"]
    named = _words(f"{parted(tool.name)} {parted(place)}")
    yield _indexed([*named, *map("".join, itertools.pairwise(named))], NAME, usual=8)
    yield _indexed(_words(str(function.get("description") or "")[:MAX_TEXT]), DESCRIPTION, usual=12)
    yield _indexed(_words(_said_in(function.get("parameters"))), PARAMETERS, usual=16)


def _indexed(words: Sequence[str], weight: float, usual: float) -> dict[str, float]:
    """The weight of each word of a part, and of the beginnings of words. usual: how many words such a part has."""
    each = weighted(weight, len(words), usual)
    terms: dict[str, float] = {}
    for word in words:
        for term in _forms(word):
            terms[term] = terms.get(term, 0.0) + each
    return terms


@functools.lru_cache(16_384)
def _forms(word: str) -> tuple[str, ...]:
    return (stem(word), _beginning(word)) if len(word) >= PREFIX else (stem(word),)


def _beginning(word: str) -> str:
    return f"{word[:PREFIX]}*"


def _words(text: str) -> list[str]:
    """The words of a text but for numbers; those that end in a number (`base64`) also without it."""
    words = [word for word in all_words(text) if not word.isdecimal()]
    return words + [found.group() for word in words if (found := _NUMBERED.match(word))]


def parted(name: str) -> str:
    """The words of a name, with spaces between them."""
    return _MARGINS.sub(" ", name)


def _said_in(schema: Any) -> str:
    texts, left = [], MAX_PARAMETERS
    for text in _texts(schema):
        texts.append(text[:left])
        left -= len(text)
        if left <= 0:
            break
    return " ".join(texts)


def _texts(schema: Any) -> Iterator[str]:
    """The names, descriptions and choices in a schema."""
    waiting, left = [schema], MAX_NODES
    while waiting and left:
        left -= 1
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node[:MAX_NODES]
        elif isinstance(node, Mapping):
            properties = node.get("properties")
            if isinstance(properties, Mapping):
                yield " ".join(parted(str(name)) for name in list(properties)[:MAX_NODES])
                waiting += list(properties.values())[:MAX_NODES]
            yield from _said(node)
            waiting += [node[key] for key in ("items", "anyOf", "oneOf", "allOf") if key in node]
            waiting += [definition for key in ("$defs", "definitions") for definition in _values(node.get(key))]


def _values(definitions: Any) -> list[Any]:
    return list(definitions.values())[:MAX_NODES] if isinstance(definitions, Mapping) else []


def _said(node: Mapping[str, Any]) -> Iterator[str]:
    text, choices = node.get("description"), node.get("enum")
    if isinstance(text, str):
        yield text[:MAX_TEXT]
    if isinstance(choices, list):
        yield " ".join(parted(each[:80]) for each in choices[:MAX_NODES] if isinstance(each, str))


def _terms_of(question: str) -> dict[str, float]:
    """The terms of a question, each with its weight."""
    terms: dict[str, float] = {}

    def add(term: str, weight: float) -> None:
        terms[term] = max(weight, terms.get(term, 0.0))

    for word in content_words(question):
        if word.isdecimal():
            continue
        stemmed = stem(word)
        add(stemmed, 1.0)
        if len(word) >= PREFIX:
            add(_beginning(word), BEGINNING)
        for other in near(stemmed):
            add(other, NEAR)
    for word in _words(parted(question)):
        add(stem(word), PARTS)
    return terms
