"""The result of a tool as text and images for the model. A result of any kind has a text: the call is done, whether or
not what it returned can be shown.

A text is sent as it is, JSON values as JSON. Other values become simpler ones first (tooling/simpler_values.py), part
by part; a document is sent as its text, a response of an HTTP server as its status and text.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from agentkit.message import Image
from agentkit.tooling.interrupts import stops_the_run
from agentkit.tooling.objects import safe_text
from agentkit.tooling.readable import Readable, contents_of, readable_of
from agentkit.tooling.settling import Items
from agentkit.tooling.simpler_values import NOTHING, simpler

MAX_DEPTH = 100
"""Levels of lists and objects that are shown."""
MAX_PARTS = 1_000_000
"""Maximum number of values in a result that are shown."""
_CUT = "…"
_NOTE = (
    f'\n(The call is done. In its result, "{_CUT}" stands for what can\'t be shown: it contains itself, or is nested '
    f"more than {MAX_DEPTH} levels deep.)"
)
_SCALARS = frozenset({str, int, float, bool, type(None)})
_SEPARATORS = (",", ":")


def rendered(value: Any) -> tuple[str, tuple[Image, ...]]:
    """The text of a result, and the images in it."""
    if type(value) is str:
        return value, ()
    plain = _Plain()
    try:
        text = _text(value, plain)
    except Exception as error:
        if stops_the_run(error):
            raise
        text = f"The call is done. Its result, {_kind(value)}, can't be shown: {safe_text(error)}"
    return text + (_NOTE if plain.was_cut else ""), tuple(plain.images)


def _is_json(value: Any) -> bool:
    """Whether a value consists of what JSON has, and nothing needs a closer look."""
    waiting, count = [(value, 0)], 0
    while waiting:
        each, depth = waiting.pop()
        kind = type(each)
        if kind in _SCALARS:
            continue
        if depth >= MAX_DEPTH or not (kind is list or (kind is dict and _TEXT.issuperset(map(type, each)))):
            return False
        parts = each if kind is list else each.values()
        count += len(parts)
        if count > MAX_PARTS:
            return False
        if not _SCALARS.issuperset(map(type, parts)):
            waiting.extend((part, depth + 1) for part in parts if type(part) not in _SCALARS)
    return True


_TEXT = frozenset({str})


def _text(value: Any, plain: "_Plain") -> str:
    if type(value) is str:
        return value
    if _is_json(value):
        with contextlib.suppress(ValueError):  # a number of thousands of digits
            return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Items):
        return _joined(value, plain)
    if isinstance(value, list | tuple) and any(isinstance(part, Image) for part in value):
        return "\n".join(_text(part, plain) for part in value)
    if isinstance(value, list | tuple) and value and all(readable_of(part) is not None for part in value[:MAX_DEPTH]):
        return "\n\n".join(_text(part, plain) for part in value)
    contents = contents_of(value)
    if contents is not None:
        return "\n".join(_text(part, plain) for part in contents)
    readable = readable_of(value)
    if readable is not None:
        return _readable_text(readable, plain)
    return _encoded(plain.of(value))


def _readable_text(readable: Readable, plain: "_Plain") -> str:
    about = plain.of(readable.about) if readable.about else None
    text = f"{readable.heading}\n\n{readable.text}" if readable.heading else readable.text
    return f"{text}\n({_encoded(about)})" if about else text


def _encoded(plain: Any) -> str:
    if isinstance(plain, str):
        return plain
    return json.dumps(plain, ensure_ascii=False, separators=_SEPARATORS)


def _joined(items: Sequence[Any], plain: "_Plain") -> str:
    """The items of a generator: pieces of a text as that text, others a line each."""
    if items and all(isinstance(item, bytes | bytearray) for item in items):
        return _text(b"".join(items), plain)
    texts = [_text(item, plain) for item in items]
    is_prose = all(isinstance(item, str) for item in items)
    # Pieces of a streamed text, or lines with their ends, have the white space between them at their edges.
    has_edges = any(before[-1:].isspace() or after[:1].isspace() for before, after in pairwise(texts))
    return ("" if is_prose and has_edges else "\n").join(texts)


class _Plain:
    """Makes values of what JSON has.

    images: those that were found. was_cut: whether something was left out.
    """

    def __init__(self) -> None:
        self.images: list[Image] = []
        self.was_cut = False
        self._count = 0
        self._inside: set[int] = set()

    def of(self, value: Any, depth: int = 0) -> Any:
        """A value as JSON has it."""
        kind = type(value)
        if kind is int:
            return _number(value)
        if kind in _SCALARS:
            return value
        self._count += 1
        if depth >= MAX_DEPTH or id(value) in self._inside or self._count > MAX_PARTS:
            self.was_cut = True
            return _CUT
        self._inside.add(id(value))
        try:
            return self._parts(value, depth)
        finally:
            self._inside.discard(id(value))

    def _parts(self, value: Any, depth: int) -> Any:
        if isinstance(value, Image):
            self.images.append(value)
            return f"[{value.name}: the image is in the next message]"
        kind = type(value)
        if kind is list or kind is tuple:
            return [self.of(part, depth + 1) for part in value]
        if kind is dict:
            return self._object(value, depth)
        made = simpler(value)
        if made is NOTHING:
            return f"({_kind(value)})"
        return self.of(made, depth + (type(made) not in (list, dict)))

    def _object(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, part in value.items():
            name = key if type(key) is str else self._key(key)
            while name in made:  # 1 and "1"
                name += "'"
            made[name] = self.of(part, depth + 1)
        return made

    def _key(self, key: Any) -> str:
        try:
            return _encoded(_Plain().of(key))
        except Exception:  # noqa: BLE001 - of a user's class
            return f"({_kind(key)})"


def _number(value: int) -> int | str:
    try:
        str(value)
    except ValueError:  # Python writes no more than 4300 digits
        return f"(a number of {value.bit_length():,} bits)"
    return value


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"
