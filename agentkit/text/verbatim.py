"""Detects tool calls in a model's text that are copied from a web page, a tool's result or a user's message.

The comparison ignores white space, the kind of quotation marks, and the escapes of JSON and HTML. It compares the whole
markup and the whole JSON of a call, but no single values: a city that the user asked about may be passed to a tool.
"""

import html
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from weakref import WeakKeyDictionary

from agentkit._forking import freed_by_forks
from agentkit._lazy.patterns import pattern
from agentkit.message import Message, text_of
from agentkit.transcript import Transcript

_ESCAPE = pattern(r"\\+(?:u([0-9a-fA-F]{4})|[nrtbf])?")
_DROPPED = (*range(33), 0x7F, 0x85, 0xA0, 0xAD, 0x200B, 0x200C, 0x200D, 0x2028, 0x2029, 0x2060, 0x3000, 0xFEFF)
_FOLDED = {**dict.fromkeys(map(ord, "'`“”„‘’‚«»"), '"'), **dict.fromkeys(_DROPPED)}
_WRAPPER = r"(?:\s|</?tool_calls?>|\[TOOL_CALLS\]|<[|｜][^<>]{1,40}[|｜]>)"
_LEADING, _TRAILING = pattern(f"{_WRAPPER}+"), pattern(f"{_WRAPPER}+\\Z")
_MAX_TRAILING_TAGS = 400
"""Characters at the end of the markup that are searched for tags."""

_cache: "WeakKeyDictionary[Transcript, dict[int, str]]" = WeakKeyDictionary()
_lock = freed_by_forks(threading.Lock())


class CopyDetector:
    """Searches the messages of users and tools for copies of a call. The normalised texts of a Transcript are cached
    for as long as it exists."""

    def __init__(self, messages: Sequence[Mapping[str, Any]]) -> None:
        self._messages = messages
        self._folded: dict[int, str] = {}
        if isinstance(messages, Transcript):
            with _lock:
                self._folded = _cache.setdefault(messages, self._folded)

    def is_copy(self, markup: str, calls: Sequence[tuple[str, str]]) -> bool:
        """Whether a user or a tool wrote this call. markup: as the model wrote it. calls: the name and the arguments
        (JSON text) of each call parsed from it."""
        needles = set(_needles(markup, calls))
        return any(needle in text for text in self._texts() for needle in needles)

    def _texts(self) -> Iterator[str]:
        """Yields the text of each message of a user or a tool, each normalised only once."""
        for index, message in enumerate(self._messages):
            if message.get("role") in ("user", "tool"):
                if index not in self._folded:
                    self._folded[index] = _fold(text_of(cast(Message, message)))
                yield self._folded[index]


def _needles(markup: str, calls: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yields a normalised text for each form in which the calls may have been written."""
    folded = _fold(markup)
    yield folded
    for name, arguments in ((_fold(name), _fold(arguments)) for name, arguments in calls):
        if arguments != "{}":
            yield _fold(_unwrapped(markup))
            if f'"name":"{name}"' not in folded and arguments in folded:
                yield arguments  # the markup holds only the arguments as JSON, not the name
        for key in ("arguments", "parameters"):
            for value in (arguments, f'"{arguments}"'):
                yield f'"name":"{name}","{key}":{value}'
                yield f'"{key}":{value},"name":"{name}"'


def _unwrapped(markup: str) -> str:
    """Returns the markup without the tags around it."""
    leading = _LEADING.match(markup)
    text = markup[leading.end() :] if leading else markup
    end = max(0, len(text) - _MAX_TRAILING_TAGS)
    return text[:end] + _TRAILING.sub("", text[end:])


def _fold(text: str) -> str:
    """Returns the text without white space, with escapes decoded and one kind of quotation mark."""
    if "&" in text:
        text = html.unescape(text)
    if "\\" in text:
        text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else "", text)
    return text.translate(_FOLDED)
