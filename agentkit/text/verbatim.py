"""Whether a tool call in a model's text is a copy of what a page, another tool's result or the user said.

Copies are found whatever the white space, the kind of quotation marks, and the escapes of JSON and HTML. The whole
markup counts, and the whole JSON of a call, but no single value: a city that the user asked about may be passed on.
"""

import html
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from weakref import WeakKeyDictionary

from agentkit.message import Message, text_of
from agentkit.transcript import Transcript

_ESCAPE = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|[nrtbf])?")
_DROPPED = (*range(33), 0x7F, 0x85, 0xA0, 0xAD, 0x200B, 0x200C, 0x200D, 0x2028, 0x2029, 0x2060, 0x3000, 0xFEFF)
_FOLDED = {**dict.fromkeys(map(ord, "'`“”„‘’‚«»"), '"'), **dict.fromkeys(_DROPPED)}
_WRAPPER = r"(?:\s|</?tool_calls?>|\[TOOL_CALLS\]|<[|｜][^<>]{1,40}[|｜]>)"
_LEADING, _TRAILING = re.compile(f"{_WRAPPER}+"), re.compile(f"{_WRAPPER}+\\Z")
_LONGEST_TRAIL = 400

_known: "WeakKeyDictionary[Transcript, dict[int, str]]" = WeakKeyDictionary()
_lock = threading.Lock()


class Verbatim:
    """What users and tools said in a conversation. What is found out of a transcript's texts is kept with it."""

    def __init__(self, messages: Sequence[Mapping[str, Any]]) -> None:
        self._messages = messages
        self._folded: dict[int, str] = {}
        if isinstance(messages, Transcript):
            with _lock:
                self._folded = _known.setdefault(messages, self._folded)

    def has_call(self, markup: str, calls: Sequence[tuple[str, str]]) -> bool:
        """Whether somebody wrote this call. markup: as the model wrote it. calls: the name and the arguments (JSON
        text) of each call that it was read as."""
        needles = set(_needles(markup, calls))
        return any(needle in text for text in self._texts() for needle in needles)

    def _texts(self) -> Iterator[str]:
        """What each user and tool has said, folded once."""
        for place, message in enumerate(self._messages):
            if message.get("role") in ("user", "tool"):
                if place not in self._folded:
                    self._folded[place] = _fold(text_of(cast(Message, message)))
                yield self._folded[place]


def _needles(markup: str, calls: Sequence[tuple[str, str]]) -> Iterator[str]:
    """A folded text for each form in which the calls may have been written."""
    folded = _fold(markup)
    yield folded
    for name, arguments in ((_fold(name), _fold(arguments)) for name, arguments in calls):
        if arguments != "{}":
            yield _fold(_unwrapped(markup))
            if f'"name":"{name}"' not in folded and arguments in folded:
                yield arguments  # its JSON is that of the arguments
        for key in ("arguments", "parameters"):
            for value in (arguments, f'"{arguments}"'):
                yield f'"name":"{name}","{key}":{value}'
                yield f'"{key}":{value},"name":"{name}"'


def _unwrapped(markup: str) -> str:
    """The markup without the tags around it."""
    leading = _LEADING.match(markup)
    text = markup[leading.end() :] if leading else markup
    end = max(0, len(text) - _LONGEST_TRAIL)
    return text[:end] + _TRAILING.sub("", text[end:])


def _fold(text: str) -> str:
    """A text without white space, escapes undone, with one kind of quotation mark."""
    if "&" in text:
        text = html.unescape(text)
    if "\\" in text:
        text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else "", text)
    return text.translate(_FOLDED)
