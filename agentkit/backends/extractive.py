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
from itertools import pairwise
from typing import Any, cast

from agentkit.backend import NO_ANSWER, Backend, Capabilities, ReplyStream, Request
from agentkit.errors import ConfigurationError
from agentkit.event import Reply, TextDelta
from agentkit.limits import LAST_WORDS, Usage
from agentkit.message import Message, ToolCall, response_of, text_of
from agentkit.retrieval import Source, best_quotes, is_chinese, passages_in, refers_back, subject_of

NO_MODEL = "No language model wrote this. These sentences of the sources match the question best:"
NOTHING_FOUND = "Nothing found: no source matches the question. (No language model wrote this; it only quotes.)"
NO_MODEL_IN_CHINESE = "以下不是语言模型写的，而是资料中与问题最相符的句子："
NOTHING_FOUND_IN_CHINESE = "Nothing found / 未找到：没有资料与问题相符。（这不是语言模型写的，只引用原文。）"
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
        asked, exchange = _since_question(list(request.transcript))
        calls = self._next_calls(asked.with_subject, exchange, [tool.schema["function"] for tool in request.tools])
        usage = Usage(requests=1)
        if calls:
            ids = f"call_{len(request.transcript)}"
            tool_calls = [
                _tool_call(f"{ids}_{index}", name, arguments) for index, (name, arguments) in enumerate(calls)
            ]
            message: Message = {"role": "assistant", "content": None, "tool_calls": tool_calls}
            yield Reply(message, "tool_calls", usage)
            return
        text, finish_reason = self._answer(asked, exchange)
        if request.stream:
            for line in text.splitlines(keepends=True):
                yield TextDelta(line)
        yield Reply({"role": "assistant", "content": text}, finish_reason, usage)

    def capabilities(self, ask: bool = False) -> Capabilities:
        """See `agentkit.backend.Backend.capabilities`."""
        return Capabilities(samples=False)

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

    def _answer(self, asked: "_Asked", exchange: Sequence["_Answered"]) -> tuple[str, str]:
        """Return the answer, and how the reply ends."""
        useful = [answered for answered in exchange if not answered.response.startswith("Error: ")]
        searched = [answered for answered in useful if _is_search(answered.name)]
        read = [answered for answered in useful if answered not in searched]
        texts = [text for answered in read or searched for text in _texts(answered)]
        sources = [text.source for text in texts]
        quoted = best_quotes(asked.question, sources, self._quotes, subject=asked.subject)
        in_chinese = is_chinese(asked.question)
        if not quoted:
            nothing = NOTHING_FOUND_IN_CHINESE if in_chinese else NOTHING_FOUND
            return "\n".join([nothing, *_failures(exchange), *_notes(exchange)]), NO_ANSWER
        titles = {texts[quote.source].address: texts[quote.source].source.title for quote in quoted}
        numbers = _numbers([texts[quote.source] for quote in quoted])
        quotes = [_listed(quote.text, numbers[texts[quote.source].address]) for quote in quoted]
        listed = [f"[{number}] {_named(titles[address], address)}" for address, number in numbers.items()]
        head, above = (NO_MODEL_IN_CHINESE, "来源：") if in_chinese else (NO_MODEL, "Sources:")
        return "\n".join([head, "", *quotes, "", above, *listed]), "stop"


@dataclass(frozen=True)
class _Asked:
    """A question, and the earlier questions that it refers to."""

    question: str
    subject: str

    @property
    def with_subject(self) -> str:
        """The question with the words that say what it is about."""
        return f"{self.question} {self.subject}".strip()


@dataclass(frozen=True)
class _Answered:
    """A tool call and its response."""

    name: str
    response: str


@dataclass(frozen=True)
class _Text:
    """One source that was read, without notes in brackets and bibliographies. number: under which the tool names it; 0
    for none."""

    address: str
    source: Source
    number: int = 0


def _since_question(messages: Sequence[Message]) -> tuple[_Asked, list[_Answered]]:
    """Return the last question, and the tool calls answered since."""
    starts = [index for index, message in enumerate(messages) if _is_question(message)] or [0]
    names: dict[str, str] = {}
    answered = []
    for message in messages[starts[-1] :]:
        names |= {call["id"]: call["function"]["name"] for call in message.get("tool_calls") or ()}
        if message["role"] == "tool":
            answered.append(_Answered(names.get(message["tool_call_id"], ""), response_of(message)))
    return _asked([text_of(messages[index]) for index in starts]), answered


def _asked(questions: Sequence[str]) -> _Asked:
    """The last question, with those it refers to: back to one that is complete by itself."""
    subjects = []
    for earlier, question in reversed(list(pairwise(questions))):
        if not refers_back(question):
            break
        subjects.append(subject_of(earlier))
    return _Asked(questions[-1], " ".join(reversed(subjects)))


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
_TITLE_LINE = re.compile(r"^(?:title: |\[(\d{1,9})\] )(.+)$", re.MULTILINE)
_URL = re.compile(r"https?://[^\s<>\"')\]]+")
_BIBLIOGRAPHY = re.compile(
    r"(?:^|.* )\W*(?:sources|references|bibliography|further reading|external links|参考文献|参考资料|參考文獻|參考資料"
    r"|外部链接|外部連結|出典|参照)\W*$",
    re.IGNORECASE,
)
_NOTE = re.compile(r"\(.*\)|\[… .*\]|\[page \d{1,6}\]", re.DOTALL)
"""Notes of the tools, in paragraphs of their own."""


def _sources(response: str) -> list[str]:
    return _SOURCE_LINE.findall(response) or _URL.findall(response)


def _texts(answered: _Answered) -> Iterator[_Text]:
    """Yield the sources of a result."""
    headers = list(_SOURCE_LINE.finditer(answered.response))
    if not headers:
        yield _Text(answered.name, _source(answered.response, ""))
    for index, header in enumerate(headers):
        end = headers[index + 1].start() if index + 1 < len(headers) else len(answered.response)
        block = answered.response[header.end() : end]
        before = answered.response[: header.start()].rstrip("\n").rpartition("\n")[2]
        title = _TITLE_LINE.fullmatch(before) or _TITLE_LINE.search(block)
        number = int(title.group(1) or 0) if title else 0
        yield _Text(header.group(1), _source(_TITLE_LINE.sub("", block), title.group(2) if title else ""), number)


def _numbers(texts: Sequence[_Text]) -> dict[str, int]:
    """The number by which each address is cited: the one that its tool has given it, if all have one of their own."""
    given = {text.address: text.number for text in texts}
    if 0 not in given.values() and len(set(given.values())) == len(given):
        return given
    return {address: number for number, address in enumerate(given, 1)}


def _source(text: str, title: str) -> Source:
    """What can be quoted of a text: without notes of the tools and bibliographies."""
    passages = [
        passage
        for passage in passages_in(text.replace("[…]", ""))
        if not _NOTE.fullmatch(passage.text) and not _BIBLIOGRAPHY.fullmatch(passage.context[-80:])
    ]
    return Source(passages, title)


def _failures(exchange: Sequence[_Answered]) -> list[str]:
    return [f"{each.name}: {each.response}" for each in exchange if each.response.startswith("Error: ")]


def _notes(exchange: Sequence[_Answered]) -> Iterator[str]:
    """Yield what the tools note on what they did not read or search: the last lines of a result, in brackets."""
    lines = (line for answered in exchange for line in _last_paragraph(answered.response).splitlines())
    for line in dict.fromkeys(lines):
        if line.startswith("(") and line.endswith(")") and not line.startswith(("(no results for ", "(Cite what ")):
            yield line


def _last_paragraph(text: str) -> str:
    return text.rstrip().rpartition("\n\n")[2]


def _listed(quote: str, number: int) -> str:
    """A quote as an item of a list; code of several lines stands in a block of its own below the first line."""
    first, *rest = quote.split("\n")
    if not rest:
        return f"- {quote} [{number}]"
    is_code = not first.endswith((":", "："))
    code = [first, *rest] if is_code else rest
    head = f"- [{number}]" if is_code else f"- {first} [{number}]"
    return "\n".join([head, "  ```", *(f"  {line}".rstrip() for line in code), "  ```"])


def _named(title: str, source: str) -> str:
    return f"{title} — {source}" if title not in ("", source) else source


def from_name(provider: str, model: str, url: str | None, environment: Mapping[str, str]) -> Backend:
    """Return the backend for `extractive`."""
    if model or url:
        raise ConfigurationError('the extractive backend takes no model: its name is "extractive"')
    return ExtractiveBackend()
