"""Reads a reply of a model that writes its calls as JSON: `{"tool": ..., "arguments": {...}}`, or an answer in words,
`{"answer": ...}`.

The text of an answer is returned as it grows; JSON that may be a call is held back until it is complete. A model whose
reply is not constrained may write something else: text in front of a call, a code fence around it, other names of the
keys, the markup of its own family, or plain words.
"""

import contextlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from agentkit.text.call_format import CUT_OFF, BadCall, Call, Segment, Text
from agentkit.text.json_text import JsonString
from agentkit.text.parser import ReplyParser
from agentkit.tooling.json_repair import read_json
from agentkit.tooling.json_scan import JsonScan
from agentkit.tooling.reply_choice import ANSWER, ARGUMENTS, TOOL

_NAMES = (TOOL, "name", "tool_name", "function")
_ARGUMENTS = (ARGUMENTS, "parameters", "args", "input")
_SEVERAL = "tool_calls"
_OF_CALL = frozenset(("id", "type", "function"))
"""The keys of a call as OpenAI's API has it."""
_KEYS = frozenset((*_NAMES, *_ARGUMENTS, *_OF_CALL, _SEVERAL, ANSWER))
_BEGINNING = re.compile(r'\s*+(?:\[\s*+)?(?:\{\s*+(?:"(\w{0,12})(")?)?)?')
_MAX_BEGINNING = 80
"""Maximum characters before it is decided whether JSON is a call or an answer."""
_MAX_CHUNK = 2048
"""Characters that are read at once: what follows each part is copied, so it must not be long."""
_IN_ANSWER = re.compile(rf'\s*+\{{\s*+"{ANSWER}"\s*+:\s*+(?=[^\s])')
_BEFORE_ANSWER = re.compile(rf'\s*+\{{\s*+"{ANSWER}"\s*+(?::\s*+)?')
_NAME = re.compile(rf'"(?:{"|".join(_NAMES)})"\s*:\s*"([\w.-]{{1,128}})"')
_FENCE = re.compile(r"```[ \t]{0,9}(?:(?:json|tool_call|tool)[ \t]{0,9})?\r?\n")
_PART_OF_FENCE = re.compile(r"`{1,2}|```[ \t]{0,9}(?:[a-z_]{0,9})[ \t]{0,9}\r?")
_THINK, _END_OF_THOUGHTS = "<think>", "</think>"
_NOT_WHOLE = "the call is not complete: write it again, as one JSON object"

IsCopy = Callable[[str, Sequence[tuple[str, str]]], bool]


class WrittenReply:
    """Reads one reply.

    names: those of the tools. prose: parses what is neither a call nor an answer in JSON. is_copy: see `ReplyParser`;
    a call that a user or a page has written is text. typed: whether an answer is a value of a type, whose JSON is
    returned, instead of a text.
    """

    def __init__(self, names: Collection[str], prose: ReplyParser, is_copy: IsCopy, *, typed: bool = False) -> None:
        self._names = names
        self._parser = prose
        self._is_copy = is_copy
        self._typed = typed
        self._read: Callable[[str], str] = self._start
        self._held: list[str] = []
        self._beginning = ""
        self._fence = self._end_fence = ""
        self._is_ours = False
        self._scan = JsonScan()
        self._string = JsonString()
        self._pending: list[tuple[str, list[Segment]]] = []
        self._in_prose = self._is_fenced = self._has_thoughts = False
        self._line = _Lines()
        self._out: list[Segment] = []

    def feed(self, text: str) -> list[Segment]:
        """Read more of the reply; returns the parts that are complete, which for an answer is any part of its text."""
        for start in range(0, len(text), _MAX_CHUNK):
            rest = text[start : start + _MAX_CHUNK]
            while rest:
                rest = self._read(rest)
        made, self._out = self._out, []
        return made

    def finish(self, *, cut_off: bool = False) -> list[Segment]:
        """Returns what remains at the end of the reply. cut_off: whether it was broken off."""
        held = "".join(self._held)
        self._held = []
        if self._read == self._value:
            self._end_of_value(held, cut_off)
        elif held and self._read in (self._start, self._behind_fence, self._thoughts):
            self._plain(held)
        pending, self._pending = self._pending, []
        calls = [part for _, parts in pending for part in parts]
        if self._in_prose:
            has_own = any(isinstance(part, Call) for part in calls)
            self._out += self._parser.finish(cut_off=cut_off, accept_calls=not has_own)
        return [*self._out, *calls]

    def _released(self) -> str:
        held, self._held, self._beginning = "".join(self._held), [], ""
        return held

    def _start(self, text: str) -> str:
        """The beginning of the reply: white space, a code fence."""
        if text.isspace():
            self._held.append(text)
            return ""
        text = self._released() + text
        begun = text.lstrip()
        if begun[0] in "{[":
            self._read = self._value
            if self._has_thoughts:
                self._say(text[: len(text) - len(begun)])
        elif fence := _FENCE.match(begun):
            self._is_fenced = True
            self._held = [text[: len(text) - len(begun) + fence.end()]]
            self._read = self._behind_fence
            return begun[fence.end() :]
        elif begun.startswith(_THINK):
            self._read = self._thoughts
        elif _PART_OF_FENCE.fullmatch(begun) or _THINK.startswith(begun):
            self._held = [text]
            return ""
        else:
            self._read = self._prose
        return text

    def _thoughts(self, text: str) -> str:
        """Reasoning in front of the reply, which stays in the text; nothing in it is a call."""
        text = self._released() + text
        end = text.find(_END_OF_THOUGHTS)
        if end < 0:
            held = next((n for n in range(len(_END_OF_THOUGHTS) - 1, 0, -1) if text.endswith(_END_OF_THOUGHTS[:n])), 0)
            self._say(text[: len(text) - held])
            self._held = [text[len(text) - held :]] if held else []
            return ""
        end += len(_END_OF_THOUGHTS)
        self._say(text[:end])
        self._has_thoughts = True
        self._read = self._start
        return text[end:]

    def _behind_fence(self, text: str) -> str:
        """The first line in a code fence. The fence is dropped if a call or an answer follows."""
        if text.isspace():
            self._held.append(text)
            return ""
        if text.lstrip()[0] in "{[":
            self._fence = self._released()
            self._read = self._value
            return text
        self._is_fenced = False
        self._read = self._prose
        return self._released() + text

    def _value(self, text: str) -> str:
        """JSON that may be ours, until it is complete or turns out not to be ours."""
        if not self._is_ours:
            self._held.append(text)
            self._beginning += text[: _MAX_BEGINNING - len(self._beginning)]
            is_ours = _may_be_ours(self._beginning)
            if is_ours is False or (is_ours is None and len(self._beginning) == _MAX_BEGINNING):
                return self._not_ours(_first_not_ours(self._beginning))
            if is_ours is None:
                return ""
            self._is_ours, self._scan = True, JsonScan()
            text = self._released()
        begun = text[:_MAX_BEGINNING]
        if not self._in_prose and not self._held and not self._pending and (found := _IN_ANSWER.match(begun)):
            if self._typed or text[found.end()] == '"':
                return self._begin_answer(text[found.end() :])
        elif self._is_undecided(text):
            self._is_ours = False
            self._held, self._beginning = [text], text
            return ""
        end = self._scan.feed(text)
        if end is None:
            self._held.append(text)
            return ""
        self._held.append(text[:end])
        self._take(self._released())
        return text[end:]

    def _not_ours(self, end: int) -> str:
        """JSON that is not ours is text up to the character that decides it; behind that, a line may begin with a call,
        as it may in all words. Returns what is behind it."""
        text = self._released()
        self._turned_out_plain(text[:end])
        return text[end:]

    def _is_undecided(self, text: str) -> bool:
        """Whether the key of an answer has come, and not yet its value."""
        return not self._held and len(text) < _MAX_BEGINNING and _BEFORE_ANSWER.fullmatch(text) is not None

    def _begin_answer(self, text: str) -> str:
        self._is_ours, self._fence = False, ""
        if self._typed:
            self._scan = JsonScan()
            self._scan.feed("{")
            self._read = self._typed_answer
            return text
        self._string = JsonString()
        self._read = self._answer
        return text[1:]

    def _answer(self, text: str) -> str:
        """The text of an answer, up to its closing quotation mark."""
        self._say(self._string.feed(text))
        if self._string.rest is None:
            return ""
        self._scan = JsonScan()
        self._scan.feed("{")
        self._read = self._behind_answer
        return self._string.rest

    def _behind_answer(self, text: str) -> str:
        """The rest of the object of an answer: further keys may make a call of it."""
        end = self._scan.feed(text)
        self._held.append(text if end is None else text[:end])
        if end is None:
            return ""
        rest = self._released().lstrip(" \t\r\n,")
        if rest != "}":
            self._pending.append(("{" + rest, self._parts_of("{" + rest) or []))
        self._read = self._between
        return text[end:]

    def _typed_answer(self, text: str) -> str:
        """The JSON of a typed answer, up to the end of the object that it is in."""
        end = self._scan.feed(text)
        if end is None:
            self._say(text)
            return ""
        self._say(text[: end - 1].rstrip())
        self._read = self._between
        return text[end:]

    def _between(self, text: str) -> str:
        """What follows a complete value: another one, the end of the code fence, or words."""
        if not text.strip(" \t\r\n,;"):
            self._held.append(text)
            return ""
        text = self._released() + text
        begun = text.lstrip(" \t\r\n,;")
        if begun[0] in "{[" and not self._in_prose:
            self._read = self._value
            return begun
        if self._is_fenced and "```".startswith(begun[:3]):
            if len(begun) < 3:
                self._held = [text]
                return ""
            self._is_fenced = False
            self._end_fence = "\n```"
            return begun[3:]
        self._turn_to_prose()
        return text

    def _take(self, value: str) -> None:
        """A complete value: a call or an answer, else it is text."""
        self._is_ours = False
        made = self._parts_of(value)
        if made is None:
            self._turned_out_plain(value)
            return
        self._read = self._between
        self._pending.append((value, made))

    def _turned_out_plain(self, value: str) -> str:
        self._is_ours = False
        self._turn_to_prose()
        self._plain(value)
        return ""

    def _turn_to_prose(self) -> None:
        self._read = self._prose
        self._is_fenced = False
        values = "\n".join(value for value, _ in self._pending)
        plain = f"{self._fence}{values}{self._end_fence}"
        self._pending, self._fence, self._end_fence = [], "", ""
        if plain:
            self._plain(plain)

    def _prose(self, text: str) -> str:
        """Words, in which a line may begin that is a call, if nothing follows it."""
        self._in_prose = True
        end = self._line.json_start(text)
        if end is None:
            self._plain(text)
            return ""
        if end:
            self._plain(text[:end])
        self._read = self._value
        return text[end:]

    def _plain(self, text: str) -> None:
        self._in_prose = True
        self._line.note(text)
        self._out += self._parser.feed(text)

    def _say(self, text: str) -> None:
        if text:
            self._out.append(Text(text))

    def _end_of_value(self, text: str, cut_off: bool) -> None:
        """JSON that is not complete at the end of the reply: repaired where that is certain, else a bad call."""
        is_call = not self._in_prose and _NAMED.match(text) is not None
        made = None if cut_off else self._parts_of(text)
        if made is not None and not (is_call and _HAS_ARGUMENTS.search(text) is None):
            self._pending.append((text, made))
        elif is_call:
            name = _NAME.search(text[:400])
            self._out.append(BadCall(text, CUT_OFF if cut_off else _NOT_WHOLE, name[1] if name else None))
        else:
            self._turned_out_plain(text)

    def _parts_of(self, text: str) -> list[Segment] | None:
        """The calls and answers that a JSON text is; None when it is anything else."""
        try:
            value = read_json(text)
        except ValueError:
            return None
        entries = value if isinstance(value, list) else [value]
        made = [part for entry in entries for part in self._parts_in(entry)]
        return made if made and None not in made else None

    def _parts_in(self, entry: Any) -> Iterator[Any]:
        """The answer and the call in an object; None for anything else."""
        if not isinstance(entry, dict) or not entry or not entry.keys() <= _KEYS:
            yield None
            return
        if _SEVERAL in entry:
            listed = entry[_SEVERAL]
            if not isinstance(listed, list) or not listed or len(entry) > 1:
                yield None
                return
            for each in listed:
                yield from self._parts_in(each)
            return
        if ANSWER in entry:
            answer = entry[ANSWER]
            is_text = isinstance(answer, str) and not self._typed
            yield Text(answer if is_text else json.dumps(answer, ensure_ascii=False))
            entry = {key: value for key, value in entry.items() if key != ANSWER}
        if entry:
            yield self._call_of(entry)

    def _call_of(self, entry: Mapping[str, Any]) -> Call | None:
        inner = entry.get("function")
        if isinstance(inner, dict) and entry.keys() <= _OF_CALL:
            entry = inner
        names = [key for key in _NAMES if key in entry]
        keys = [key for key in _ARGUMENTS if key in entry]
        if len(names) != 1 or len(keys) > 1 or len(entry) > 2:
            return None
        name, arguments = entry[names[0]], entry[keys[0]] if keys else {}
        if isinstance(arguments, str) and arguments.lstrip().startswith("{"):
            with contextlib.suppress(ValueError):
                arguments = read_json(arguments)
        if not isinstance(name, str) or not name or not isinstance(arguments, dict):
            return None
        if name not in self._names and (names != [TOOL] or not keys):
            return None
        written = json.dumps(arguments, ensure_ascii=False)
        plain = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
        own = json.dumps({TOOL: name, ARGUMENTS: arguments}, ensure_ascii=False)
        if self._is_copy(own, ()) or self._is_copy(plain, [(name, written)]):
            return None
        return Call(name, written)


_HAS_ARGUMENTS = re.compile(rf'"(?:{"|".join(_ARGUMENTS)})"\s*:')
_NAMED = re.compile(rf'\s*+(?:\[\s*+)?\{{\s*+"(?:{"|".join((*_NAMES, *_ARGUMENTS))})"')


def _may_be_ours(text: str) -> bool | None:
    """Whether JSON begins with a key of ours; None when that is not decided yet."""
    found = _BEGINNING.match(text)
    assert found is not None
    key, quote = found[1], found[2]
    if quote:
        return key in _KEYS
    if found.end() < len(text):
        return False
    return None if key is None or any(each.startswith(key) for each in _KEYS) else False


def _first_not_ours(text: str) -> int:
    """The characters of the beginning of JSON that are enough to decide that it is not ours."""
    return next((end for end in range(1, len(text)) if _may_be_ours(text[:end]) is False), len(text))


class _Lines:
    """Where the lines of words begin, and which of them are in a code fence."""

    def __init__(self) -> None:
        self._line = ""
        self._in_fence = False

    def json_start(self, text: str) -> int | None:
        """Where a line begins with JSON, outside of code fences; None if none does."""
        line, in_fence = self._line, self._in_fence
        start = 0
        while True:
            if not line and not in_fence and text[start : start + 1] in ("{", "["):
                return start
            end = text.find("\n", start)
            line += text[start : start + 3 if end < 0 else end][: 3 - len(line)]
            if end < 0:
                return None
            in_fence ^= line.startswith("```")
            line, start = "", end + 1

    def note(self, text: str) -> None:
        """Go on behind a text."""
        lines = text.split("\n")
        for number, each in enumerate(lines):
            self._line += each[: max(0, 3 - len(self._line))]
            if number < len(lines) - 1:
                self._in_fence ^= self._line.startswith("```")
                self._line = ""
