"""What reads text of models, servers, pages and clients by hand and not with a regular expression alone, each as a
function of a text, and what hostile texts are made of."""

import functools
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic import SecretStr

from agentkit.backends.chat_protocol import Accumulator
from agentkit.backends.usage import usage_in, usage_of
from agentkit.errors import AgentkitError
from agentkit.history.given import given_messages
from agentkit.history.text_calls import calls_in
from agentkit.message import map_response, tool_response, unwrapped_response
from agentkit.net.charset import decode
from agentkit.net.content_coding import compressions
from agentkit.net.error_body import message_of, status_of
from agentkit.net.event_stream import BrokenEventError, EventReader
from agentkit.net.keys import is_secret_name
from agentkit.net.media_type import content_type_of, read_as
from agentkit.net.refresh import refresh_in, refresh_of
from agentkit.net.url_guard import check_url, shown_url
from agentkit.repair import repaired
from agentkit.retrieval.markup import passages_in
from agentkit.retrieval.quotes import Source, best_quotes
from agentkit.retrieval.sentences import sentences
from agentkit.retrieval.words import Query, content_words, spelled, word_text
from agentkit.serving.http.auth import Authenticator
from agentkit.serving.http.settings import HttpSettings
from agentkit.serving.mqtt.decoding import BadPayloadError
from agentkit.serving.mqtt.payloads import read_command, read_user_message
from agentkit.serving.mqtt.projects import Project
from agentkit.testing.redaction import Redaction
from agentkit.text.any_format import any_format
from agentkit.text.families import families
from agentkit.text.formats.python_repair import repaired as repaired_python
from agentkit.text.held_text import StopFilter
from agentkit.text.parser import ReplyParser
from agentkit.text.special_tokens import neutral_json, neutralised
from agentkit.text.verbatim import CopyDetector
from agentkit.tooling.arguments import parse
from agentkit.tooling.bare_answers import undecorated
from agentkit.tooling.call_names import meant, valid_author, valid_id, valid_name
from agentkit.tooling.coercion import Expected, coerced_value
from agentkit.tooling.error_text import without_paths
from agentkit_tools.cutting import passages_of

Reader = Callable[[str], object]

TEXTS = (
    *(
        " ",
        "\n",
        "\r\n",
        "\n\n",
        "    a\n",
        "'",
        '"',
        "`",
        "```\n",
        "“",
        "(",
        "[",
        "]",
        "{",
        "}",
        "][",
        "9.",
        "-",
        ". ",
    ),
    *(
        "|",
        "| a |\n|-\n",
        "a",
        "a ",
        "A. ",
        "*",
        "- a\n",
        "1. a\n",
        "> ",
        "# a\n",
        "a\n-\n",
        "\\",
        '\\"',
        "&amp;",
        "&#",
        "<",
    ),
    *(
        "<a>",
        "</a>",
        "<a",
        "<!--",
        "e\u0301",
        "中",
        "。",
        "ไ ",
        "\ud83d",
        "%20",
        "@",
        "//",
        ",",
        "=",
        "&a=",
        '{"a":',
        "{'a': ",
    ),
    *("data:", "data: {}\n", "event: a\n", 'token="', '"api_key": "', "a: b\n", "[ARGS]"),
)
"""What hostile texts are made of."""
MARKUP = (
    *(
        " ",
        "\n",
        "`",
        '"',
        "\\",
        "{",
        '{"',
        "<",
        "<think>",
        "</think>",
        "a</think>",
        "[THINK]",
        "<tool_call>",
        "</tool_call>",
    ),
    *('<tool_call>{"', '<tool_call>{"name": "a", "arguments": {}}</tool_call>', "<tool_call></think>", "<function=a>"),
    *("\n<tool_call>", '<function=a>{"b": "', '<function=a>{"b": "c"}</function>'),
    *(
        "<tool_call>\n<function=a>\n<parameter=b>",
        "</parameter>",
        "</function>",
        "<tool_call>a<arg_key>b</arg_key><arg_value>",
    ),
    *(
        "functools[",
        'functools[{"',
        "<TOOLCALL>[{",
        "<function_calls>a(",
        "</function_calls>",
        "<|python_start|>",
        "```json\n[",
    ),
    *("</arg_value>", "[TOOL_CALLS]", "[TOOL_CALLS]a{}", "[ARGS]", "<|python_tag|>", "<|python_tag|>a.call(", "[a("),
    *(
        '{"name": "a", "parameters": {}};',
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁call▁begin｜>",
        "<｜tool▁call▁end｜>",
        "<|im_end|>",
    ),
    *(
        "<|tool_calls_section_begin|>",
        "<|tool_call_begin|>",
        "<|tool_call_argument_begin|>",
        '<|open|>call tool="a"<|sep|>',
        '<|open|>argument key="b" type="string"<|sep|>',
        "<|close|>call<|sep|>",
        '<｜DSML｜invoke name="a">',
        '<｜DSML｜parameter name="b">',
        "</｜DSML｜parameter>",
        "</｜DSML｜parameter>a",
        "</｜DSML｜invoke>",
        "<tool_response>",
        "e.g. ",
    ),
    *(
        "<|tool_call>",
        "<|tool_call>call:a{",
        "<|tool_call>call:a{b:",
        '<|"|>',
        "<tool_call|>",
        "<|channel>",
        "b:[",
        "b:1,",
        "]<]minimax[>[<tool_call>",
        ']<]minimax[>[<invoke name="a">]<]minimax[>[<b>',
        "]<]minimax[>[</b>",
        "<tool_calls>",
        '<tool_calls>{"',
        "<tool_calls><tool_call>a<arg_value>",
        "<tool_sep>",
        "<|tool_call_start|>[a(b='",
        "<|tool_call_start|>[a()]",
        "<|tool_call_end|>",
        '<steptml:invoke name="a"><steptml:parameter name="b">',
        "<｜tool_call_begin｜>function",
        "<minimax:tool_call>",
        '<invoke name="a">',
        "</invoke>",
        '<invoke name="a"><parameter name="b">',
        '<parameter name="b">',
        "<seed:tool_call>",
        "<seed:tool_call><function=a><parameter=b><",
        "<parameter=b><![CDATA[",
    ),
    *("<|channel|>analysis<|message|>", "<|channel|>commentary to=a<|message|>{}", "<|start|>assistant", "<|end|>"),
    *("<|START_THINKING|>", '<|START_ACTION|>[{"tool_name": "a"}]', '<|tools_prefix|>[{"a": {}}]', "<|inner_prefix|>"),
    *("<|function_call|>{}", "<|message_sep|>", "Action:\n```json\n[]", "<longcat_tool_call>"),
)
"""What hostile replies are made of."""


@functools.cache
def _formats() -> dict[str, Any]:
    formats = {each.format.name: each.format for each in families()}
    return {**formats, "any": any_format(None)}


TOOLS = [{"type": "function", "function": {"name": "a", "parameters": {"properties": {"b": {"type": "string"}}}}}]


def parse_reply(name: str, text: str, size: int, **options: Any) -> object:
    """Parse a reply that comes in pieces of a size."""
    parser = ReplyParser(_formats()[name], TOOLS, **options)
    for piece in pieces(text, size):
        if not parser.feed_plain(piece):
            parser.feed(piece)
    return parser.finish(), parser.raw_answer


def _parse_in_pieces(name: str, text: str) -> object:
    return parse_reply(name, text, 5)


def pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def _filtered(text: str) -> None:
    stops = StopFilter(("</tool_response>", "aaaaaaab", "\n\n\n\nEnd", "  .", "{}{}]"))
    for piece in pieces(text, 1):
        stops.feed(piece)


def _copied(text: str) -> object:
    texts = [{"role": "user", "content": text}, {"role": "tool", "content": text}]
    return CopyDetector(texts).is_copy(text[::-1], [("a", json.dumps({"a": text}))])


def accumulate(deltas: Iterable[dict[str, Any]]) -> object:
    """Build a reply from the deltas of a stream."""
    accumulator = Accumulator("c", lambda name, arguments, before: None)
    for delta in deltas:
        for _ in accumulator.feed({"choices": [{"index": 0, "delta": delta}]}):
            pass
    return accumulator.reply()


def _events(size: int, text: str, prefix: bytes = b"") -> None:
    content = prefix + text.encode("utf-8", "replace")
    chunks = (content[start : start + size] for start in range(0, len(content), size))
    try:
        for _ in EventReader().read(chunks):
            pass
    except BrokenEventError:
        pass


def _ignoring(*errors: type[Exception]) -> Callable[[Reader], Reader]:
    def wrapped(read: Reader) -> Reader:
        def reading(text: str) -> object:
            try:
                return read(text)
            except errors:
                return None

        return reading

    return wrapped


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


_QUOTED = "What is a ไทย 中文?"


def _history(text: str) -> object:
    parts = [{"type": "text", "text": text}, {"type": "tool_use", "id": text, "name": text, "input": text}]
    messages = [
        {"role": "human", "content": text},
        {"role": "assistant", "content": parts},
        {"role": "tool", "tool_call_id": text, "content": text},
        {"role": "assistant", "content": text},
        {"role": "tool", "content": text},
    ]
    return repaired(given_messages(messages)[0])


def many_messages(text: str) -> object:
    """A history of as many messages as the text has characters."""
    kinds = itertools.cycle(("user", "assistant", "tool", "tool"))
    return repaired(given_messages([{"role": next(kinds), "content": each, "tool_call_id": each} for each in text])[0])


REPLIES: dict[str, Reader] = {
    **{f"{name}": functools.partial(_parse_in_pieces, name) for name in _formats()},
    "reasoning": lambda text: parse_reply("kimi", text, 3, thinking=True),
    "calls in reasoning": lambda text: parse_reply("hermes", text, 3, thinking=True),
    "calls last": lambda text: parse_reply("hermes", text, 3, calls_last=True),
    "kept reasoning": lambda text: parse_reply("any", text, 9, keep_reasoning=True),
    "calls in a history": calls_in,
    "stops": _filtered,
    "copies": _copied,
    "neutralised": neutralised,
    "neutral JSON": lambda text: neutral_json(json.dumps([text]), neutralised),
}
"""What reads a model's text."""


def _delta_of_call(index: int, **function: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "function": function}]}


def _thought(text: str) -> dict[str, Any]:
    return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]}


DELTAS: dict[str, Callable[[int, str], dict[str, Any]]] = {
    "content": lambda place, text: {"content": text},
    "reasoning": lambda place, text: {"reasoning": text},
    "refusal": lambda place, text: {"refusal": text},
    "parts": lambda place, text: {"content": [{"type": "text", "text": text}]},
    "thoughts": lambda place, text: _thought(text),
    "details": lambda place, text: {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": text}]},
    "lists": lambda place, text: {"reasoning_details": [{"text": text}]},
    "objects": lambda place, text: {"extra_content": {str(place): text}},
    "arguments": lambda place, text: _delta_of_call(0, arguments=text),
    "named arguments": lambda place, text: _delta_of_call(0, name="a", arguments=text),
    "names": lambda place, text: _delta_of_call(0, name=text),
    "broken calls": lambda place, text: _delta_of_call(place, name="a", arguments=text),
    "calls": lambda place, text: _delta_of_call(place, name="a", arguments=f'{{"a": {place}}}'),
    "calls without an index": lambda place, text: {
        "tool_calls": [{"function": {"name": "a", "arguments": f'{{"a": {place}}}'}}]
    },
    "fields of calls": lambda place, text: {"tool_calls": [{"index": 0, "extra": {str(place): [text]}}]},
    "texts of calls": lambda place, text: {"tool_calls": [{"index": 0, "extra": [{"index": 0, "text": text}]}]},
}
"""The deltas of a stream that consists of small pieces."""

_PROJECT = Project("p", "", "p/user_input", "p/answers", "p/state", "p/hints")


def _resolve(host: str, port: int) -> Sequence[str]:
    return ["1.1.1.1"]


@functools.cache
def _authenticator() -> Authenticator:
    return Authenticator(HttpSettings(agentkit_jwt_secret=SecretStr("s" * 40), agentkit_jwt_audience="a"))


def _token(text: str) -> object:
    header = _bytes(text).decode("latin-1")
    return _authenticator().subject(f"Bearer {header}"), _authenticator().subject(f"Bearer a.{header}.b")


def _coerced(text: str) -> object:
    kinds = ("array", "integer", "number", "boolean", "object")
    return [coerced_value(text, Expected({kind})) for kind in kinds]


READERS: dict[str, Reader] = {
    "usage": lambda text: usage_of(usage_in({"usage": {text: text, "cost": text, "prompt_tokens": text}})),
    "usage as text": lambda text: usage_of(usage_in({"usage": text})),
    "events": functools.partial(_events, 1),
    "data": functools.partial(_events, 7, prefix=b"data: "),
    "error events": functools.partial(_events, 100, prefix=b"event: error\ndata: "),
    "error bodies": lambda text: (message_of({"error": {"message": [text] * 9}}), status_of({"error": {"type": text}})),
    "media types": lambda text: (content_type_of(text), read_as("", _bytes(text))),
    "content codings": compressions,
    "refresh": lambda text: (refresh_of(text), refresh_in(b"refresh" + _bytes(text))),
    "charset": lambda text: decode(_bytes(text)),
    "addresses": _ignoring(AgentkitError)(lambda text: check_url("http://" + text, resolver=_resolve)),
    "paths": _ignoring(AgentkitError)(lambda text: check_url("http://a.com/" + text, resolver=_resolve)),
    "shown addresses": shown_url,
    "arguments": _ignoring(AgentkitError)(lambda text: parse('{"a": ' + text)),
    "coercion": _coerced,
    "broken Python": repaired_python,
    "bare answers": lambda text: list(undecorated(text)),
    "names": lambda text: (meant(text, ["a", "abc"]), valid_name(text), valid_author(text), valid_id(text)),
    "errors of tools": without_paths,
    "history": _history,
    "responses": lambda text: (
        unwrapped_response("<tool_response>" + text),
        map_response(tool_response(text), str.upper),
    ),
    "words": lambda text: (word_text(text), spelled(text), content_words(text), Query.of(text)),
    "sentences": sentences,
    "quotes": lambda text: best_quotes("What is a ไทย 中文?", [Source(passages_in(text))]),
    "questions": lambda text: best_quotes(text, [Source(passages_in("What a thing is. It is good."))]),
    "cutting": passages_of,
    "tokens": _token,
    "messages of MQTT": _ignoring(BadPayloadError)(lambda text: read_user_message(_PROJECT, _bytes(text))),
    "commands of MQTT": _ignoring(BadPayloadError)(lambda text: read_command(_PROJECT, "clear", text, _bytes(text))),
    "redaction": lambda text: Redaction(["secret"]).body(text),
    "recorded addresses": _ignoring(ValueError)(lambda text: Redaction(["secret"]).url("http://a/" + text)),
    "names of secrets": is_secret_name,
}
"""What reads other text of servers, pages, clients and tools."""
