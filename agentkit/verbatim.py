"""Whether a tool call in a model's text is a copy of what a page, another tool's result or the user said.

Copies are found whatever the white space, the kind of quotation marks, and the escapes of JSON and HTML. The whole
markup counts, and the whole JSON of a call, but no single value: a city that the user asked about may be passed on.
"""

import html
import json
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
        return any(self._says(hint, needle) for hint, needle in _needles(markup, calls))

    def _says(self, hint: str, needle: str) -> bool:
        """hint: a word of the needle, without which no text has to be folded."""
        for place, message in enumerate(self._messages):
            if message.get("role") in ("user", "tool"):
                text = text_of(cast(Message, message))
                if hint in text and needle in self._fold_once(place, text):
                    return True
        return False

    def _fold_once(self, place: int, text: str) -> str:
        if place not in self._folded:
            self._folded[place] = _fold(text)
        return self._folded[place]


def _needles(markup: str, calls: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """A word, and a folded text that has it, for each form in which the calls may have been written."""
    names = [name for name, _ in calls if name]
    hint = names[0] if names and names[0] in markup else ""
    folded = _fold(markup)
    yield hint, folded
    for name, arguments in calls:
        given = _fold(arguments)
        if given != "{}":
            yield hint, _fold(_unwrapped(markup))
        if f'"name":"{name}"' not in folded and given != "{}" and given in folded:
            yield next(iter(json.loads(arguments))), given  # its JSON is that of the arguments
        for key in ("arguments", "parameters"):
            for value in (given, f'"{given}"'):
                yield name, f'"name":"{name}","{key}":{value}'
                yield name, f'"{key}":{value},"name":"{name}"'


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
