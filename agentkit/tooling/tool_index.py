"""Finds tools by the words of a question."""

import functools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from agentkit.retrieval.term_index import Described, Field, TermIndex, described
from agentkit.retrieval.words import PREFIX, all_words, content_words
from agentkit.tools import Tool

NAME, DESCRIPTION, PARAMETERS = 2.0, 1.0, 0.5
"""The weights of a word in the name of a tool (or of the place that it is from), its description, its parameters."""
MAX_TEXT = 2000
"""Characters of a description, and of a question, that are read."""
MAX_PARTS = 300
"""Parts of a schema that are read."""

_MARGINS = re.compile(
    r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])|[_.:/-]+"
)
"""Where the words of a name meet: `getHTTPStatus2`, `weather.get_forecast`."""


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
        return [self._tools[number] for number in self._index.best(_terms_of_question(question), count)]


_kept: "WeakKeyDictionary[Tool[..., Any], tuple[str, Described]]" = WeakKeyDictionary()


def _described(tool: Tool[..., Any], place: str) -> Described:
    known = _kept.get(tool)
    if known is None or known[0] != place:
        known = _kept[tool] = place, described(_fields(tool, place))
    return known[1]


def _fields(tool: Tool[..., Any], place: str) -> Iterator[Field]:
    function = tool.schema["function"]
    yield Field(_terms(f"{parted(tool.name)} {parted(place)}"), NAME, usual=4)
    yield Field(_terms(str(function.get("description") or "")[:MAX_TEXT]), DESCRIPTION, usual=12)
    yield Field([term for text in _texts(function.get("parameters")) for term in _terms(text)], PARAMETERS, usual=16)


def parted(name: str) -> str:
    """The words of a name, with spaces between them."""
    return _MARGINS.sub(" ", name)


def _texts(schema: Any) -> Iterator[str]:
    """The names, descriptions and choices in a schema."""
    waiting, left = [schema], MAX_PARTS
    while waiting and left:
        left -= 1
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node[:MAX_PARTS]
        elif isinstance(node, Mapping):
            properties = node.get("properties")
            if isinstance(properties, Mapping):
                yield " ".join(parted(str(name)) for name in list(properties)[:MAX_PARTS])
                waiting += list(properties.values())[:MAX_PARTS]
            yield from _said(node)
            waiting += [node[key] for key in ("items", "anyOf", "oneOf", "allOf", "$defs") if key in node]


def _said(node: Mapping[str, Any]) -> Iterator[str]:
    text, choices = node.get("description"), node.get("enum")
    if isinstance(text, str):
        yield text[:MAX_TEXT]
    if isinstance(choices, list):
        yield " ".join(parted(each[:80]) for each in choices[:MAX_PARTS] if isinstance(each, str))


def _terms(text: str) -> list[str]:
    return [term for word in all_words(text) for term in _forms(word)]


def _terms_of_question(question: str) -> dict[str, float]:
    terms: dict[str, float] = defaultdict(float)
    for word in content_words(question[:MAX_TEXT]):
        for term in _forms(word):
            terms[term] = 1.0
    return terms


@functools.lru_cache(8192)
def _forms(word: str) -> tuple[str, ...]:
    """A word as it is indexed: by its beginning, which it has in common with its other forms."""
    return (word[:PREFIX],)
