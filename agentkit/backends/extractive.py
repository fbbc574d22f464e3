"""The built-in default backend: no model, no key, no network. It searches with the tools it is given, reads the best
hits, and answers with the sentences that match the question best, each with its source.

Its next step depends only on the transcript, as with any backend: without tool calls it searches; after searches it
reads the hits; otherwise it answers. It parses results in the format of agentkit_tools (blocks with a line
"source: ADDRESS"), and plain URLs in other results.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from agentkit.backend import Backend, Capabilities, ReplyStream, Request
from agentkit.errors import ConfigurationError
from agentkit.event import Reply, TextDelta
from agentkit.limits import LAST_WORDS, Usage
from agentkit.message import Message, ToolCall, response_of, text_of
from agentkit.retrieval import best_quotes, sentences

NO_MODEL = "No language model wrote this: these are the sentences of the sources that match the question best."
NOTHING_FOUND = "Nothing found: no source matches the question. (No language model wrote this; it only quotes.)"
ADDRESSES = ("url", "urls", "path", "paths", "document", "documents", "source")
"""Names of the parameter in which a reading tool takes the address to read."""


class ExtractiveBackend:
    """Answers with quotes from sources instead of generated text.

    hits: maximum number of hits read per search. quotes: maximum number of quotes, each of one or two sentences.
    """

    def __init__(self, *, hits: int = 4, quotes: int = 3) -> None:
        self._hits = hits
        self._quotes = quotes

    def __repr__(self) -> str:
        return "ExtractiveBackend()"

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        question, exchange = _since_question(list(request.transcript))
        calls = self._next_calls(question, exchange, [tool.schema["function"] for tool in request.tools])
        usage = Usage(requests=1)
        if calls:
            ids = f"call_{len(request.transcript)}"
            tool_calls = [
                _tool_call(f"{ids}_{index}", name, arguments) for index, (name, arguments) in enumerate(calls)
            ]
            message: Message = {"role": "assistant", "content": None, "tool_calls": tool_calls}
            yield Reply(message, "tool_calls", usage)
            return
        text = self._answer(question, exchange)
        if request.stream:
            for line in text.splitlines(keepends=True):
                yield TextDelta(line)
        yield Reply({"role": "assistant", "content": text}, "stop", usage)

    def capabilities(self, ask: bool = False) -> Capabilities:
        """See `agentkit.backend.Backend.capabilities`."""
        return Capabilities()

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _next_calls(
        self, question: str, exchange: Sequence["_Answered"], tools: Sequence[Mapping[str, Any]]
    ) -> list[tuple[str, dict[str, Any]]]:
        searchers = [tool for tool in tools if _is_search(tool["name"])]
        readers = [tool for tool in tools if not _is_search(tool["name"]) and _address_parameter(tool)]
        if not exchange:
            return [(tool["name"], _arguments(tool, question)) for tool in searchers]
        if not readers or not all(_is_search(answered.name) for answered in exchange):
            return []
        found = [hit for answered in exchange for hit in _sources(answered.response)[: self._hits]]
        return _read_calls(list(dict.fromkeys(found)), readers, question)

    def _answer(self, question: str, exchange: Sequence["_Answered"]) -> str:
        searched = [answered for answered in exchange if _is_search(answered.name)]
        read = [answered for answered in exchange if answered not in searched]
        texts = [text for answered in read or searched for text in _texts(answered)]
        quoted = best_quotes(question, [text.paragraphs for text in texts], self._quotes)
        if not quoted:
            failures = [f"{each.name}: {each.response}" for each in exchange if each.response.startswith("Error: ")]
            return "\n".join([NOTHING_FOUND, *failures])
        sources = {texts[quote.source].source: texts[quote.source].title for quote in quoted}
        numbers = {source: number for number, source in enumerate(sources, 1)}
        quotes = [f"- {quote.text} [{numbers[texts[quote.source].source]}]" for quote in quoted]
        listed = [f"[{number}] {_named(sources[source], source)}" for source, number in numbers.items()]
        return "\n".join([NO_MODEL, "", *quotes, "", "Sources:", *listed])


@dataclass(frozen=True)
class _Answered:
    """A tool call and its response."""

    name: str
    response: str


@dataclass(frozen=True)
class _Text:
    """One source that was read, without headings, notes in brackets and bibliographies."""

    source: str
    title: str
    paragraphs: Sequence[str]


def _since_question(messages: Sequence[Message]) -> tuple[str, list[_Answered]]:
    """Return the last question, and the tool calls answered since."""
    start = max((index for index, message in enumerate(messages) if _is_question(message)), default=0)
    names: dict[str, str] = {}
    answered = []
    for message in messages[start:]:
        names |= {call["id"]: call["function"]["name"] for call in message.get("tool_calls") or ()}
        if message["role"] == "tool":
            answered.append(_Answered(names.get(message["tool_call_id"], ""), response_of(message)))
    return text_of(messages[start]), answered


def _is_question(message: Message) -> bool:
    text = text_of(message)
    return message["role"] == "user" and text not in LAST_WORDS.values() and not text.startswith("Image returned by")


def _is_search(name: str) -> bool:
    return "search" in name.lower()


def _properties(tool: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return cast(dict[str, dict[str, Any]], tool["parameters"].get("properties", {}))


def _address_parameter(tool: Mapping[str, Any]) -> str | None:
    return next((name for name in _properties(tool) if name in ADDRESSES), None)


def _arguments(
    tool: Mapping[str, Any], question: str, address: str | None = None, hits: Sequence[str] = ()
) -> dict[str, Any]:
    """Return arguments for a tool: hits for its address parameter, the question for every other required parameter."""
    arguments: dict[str, Any] = {}
    for name, schema in _properties(tool).items():
        is_list = schema.get("type") == "array"
        if name == address:
            arguments[name] = list(hits) if is_list else hits[0]
        elif name in tool["parameters"].get("required", ()):
            arguments[name] = [question] if is_list else question
    return arguments


def _read_calls(
    sources: Sequence[str], readers: Sequence[Mapping[str, Any]], question: str
) -> list[tuple[str, dict[str, Any]]]:
    """Return calls that read each source with a matching tool: URLs with tools that take URLs, paths with others."""
    calls = []
    for tool in readers:
        address = cast(str, _address_parameter(tool))
        takes_urls = "url" in address
        wanted = [source for source in sources if ("://" in source) is takes_urls]
        is_list = _properties(tool)[address].get("type") == "array"
        for hits in [wanted] if is_list and wanted else [[source] for source in wanted]:
            calls.append((tool["name"], _arguments(tool, question, address, hits)))
    return calls


def _tool_call(call_id: str, name: str, arguments: Mapping[str, Any]) -> ToolCall:
    written = json.dumps(arguments, ensure_ascii=False)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": written}}


_SOURCE_LINE = re.compile(r"^source: (.+)$", re.MULTILINE)
_TITLE_LINE = re.compile(r"^(?:title: |\[\d+\] )(.+)$", re.MULTILINE)
_URL = re.compile(r"https?://[^\s<>\"')\]]+")
_SENTENCE_ENDS = '.!?…"”’»)。！？」』）।؟'
_BIBLIOGRAPHY = re.compile(r"^\W*(sources|references|bibliography|further reading)\W*$", re.IGNORECASE)


def _sources(response: str) -> list[str]:
    return _SOURCE_LINE.findall(response) or _URL.findall(response)


def _texts(answered: _Answered) -> Iterator[_Text]:
    """Yield the sources of a result."""
    headers = list(_SOURCE_LINE.finditer(answered.response))
    if not headers:
        yield _Text(answered.name, "", list(_paragraphs(answered.response)))
    for index, header in enumerate(headers):
        end = headers[index + 1].start() if index + 1 < len(headers) else len(answered.response)
        block = answered.response[header.end() : end]
        before = answered.response[: header.start()].rstrip("\n").rpartition("\n")[2]
        title = _TITLE_LINE.search(block) or _TITLE_LINE.fullmatch(before)
        paragraphs = list(_paragraphs(_TITLE_LINE.sub("", block)))
        yield _Text(header.group(1), title.group(1) if title else "", paragraphs)


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*•]|\d+[.)]|#{1,6}) )", text):
        lines = paragraph.strip().splitlines()
        if lines and _BIBLIOGRAPHY.match(lines[0]):
            return
        cleaned = re.sub(r"^\s*(?:[-*•]|\d+[.)])\s+", "", paragraph.strip())
        if cleaned and not cleaned.startswith(("[…", "(", "#")) and _is_prose(cleaned):
            yield cleaned


def _is_prose(paragraph: str) -> bool:
    """Whether it has a sentence that can be quoted, and is not a heading."""
    return any(len(sentence) > 25 or not sentence.isascii() for sentence in sentences(paragraph)) and (
        paragraph[-1] in _SENTENCE_ENDS or len(paragraph) > 80
    )


def _named(title: str, source: str) -> str:
    return f"{title} — {source}" if title not in ("", source) else source


def from_name(provider: str, model: str, url: str | None, environment: Mapping[str, str]) -> Backend:
    """Return the backend for `extractive`."""
    if model or url:
        raise ConfigurationError('the extractive backend takes no model: its name is "extractive"')
    return ExtractiveBackend()
