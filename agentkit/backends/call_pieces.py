"""One tool call of a reply, put together from the pieces in which a server streams it."""

import json
from collections.abc import Mapping
from typing import Any, cast

from agentkit._lazy.records import dataclass, field
from agentkit._text import cut
from agentkit.backend import Ending
from agentkit.backends.merged_fields import MergedFields
from agentkit.message import ToolCall
from agentkit.tooling.arguments import UNREADABLE, as_json_object, is_json_object, unreadable
from agentkit.tooling.json_scan import JsonScan

MAX_DOUBTFUL = 4096
"""How many characters of arguments that were sent anew with each piece are kept in both readings."""
MAX_NAME = 1000
"""Characters of a name to which no more pieces are added."""
_FIELDS = frozenset(("id", "index", "type", "function", "custom"))
_UNCLEAR = "it is not clear which of the arguments that the server sent are meant"
_JSON_SPACE = " \t\r\n"


class Piece:
    """An entry of a delta's `tool_calls`: a call or a piece of one."""

    __slots__ = ("arguments", "entry", "id", "index", "name")

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.entry = entry
        self.index: int | str | None = entry.get("index")
        call_id = entry.get("id")
        self.id: str = call_id if isinstance(call_id, str) else "" if call_id is None else str(call_id)
        function = entry.get("function")
        if not function:
            custom = entry.get("custom") or {}
            function = {"name": custom.get("name"), "arguments": {"input": custom.get("input")} if custom else None}
        self.name: str = function.get("name") or ""
        self.arguments: object = function.get("arguments")

    @property
    def is_blank(self) -> bool:
        """Whether it adds nothing to the arguments."""
        return self.arguments is None or (isinstance(self.arguments, str) and not self.arguments.strip())


class _Written:
    """Arguments in the pieces in which they were sent."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.length = 0
        self.is_object = False
        self._scan: JsonScan | None = JsonScan()

    def __str__(self) -> str:
        return "".join(self._pieces)

    def add(self, piece: str) -> bool:
        """Add a piece; return whether it completes the arguments. They are decoded once, when the bracket that opened
        them is closed; text after that makes them invalid."""
        self._pieces.append(piece)
        self.length += len(piece)
        if self._scan is None:
            self.is_object = self.is_object and not piece.strip(_JSON_SPACE)
            return False
        end = self._scan.feed(piece)
        if end is None:
            return False
        self._scan = None
        self.is_object = not piece[end:].strip(_JSON_SPACE) and is_json_object(str(self))
        return self.is_object


@dataclass(eq=False)
class StreamedCall:
    """batch: the number of the delta that it began in. at_end: whether the finish reason had arrived then. meant: the
    tool that it means, where it was begun and that is another one than it names."""

    index: int | str | None
    batch: int
    at_end: bool
    id: str = ""
    name: str = ""
    meant: str = ""
    is_named_late: bool = False
    is_begun: bool = False
    value: Any = None
    extra: MergedFields = field(default_factory=MergedFields)
    _written: _Written = field(default_factory=_Written)
    _anew: _Written | None = None
    """The arguments from the last piece on that began with all of the arguments before it: that piece may be all of
    them so far, or an object inside of them that begins like them."""

    def take(self, piece: Piece, by_id: "dict[str, StreamedCall]") -> None:
        """Take what a piece says beside the arguments. by_id: gets the call under its id."""
        if piece.id:
            self.id = self.id or piece.id
            by_id[piece.id] = self
        name = piece.name
        if name and name != self.name:  # names may be streamed in parts; a repeated complete name is the same name
            self.is_named_late = self.is_named_late or (not self.name and self.has_arguments)
            if name.startswith(self.name):
                self.name = name
            elif len(self.name) < MAX_NAME:
                self.name += name
        for key, value in piece.entry.items():
            if key not in _FIELDS and value is not None:
                self.extra.add(key, value)

    def add(self, piece: str) -> bool:
        """Add a piece of the arguments; return whether it completes them."""
        before = self._written if self._anew is None else self._anew
        if len(piece) >= before.length and before.length and self._is_anew(piece, str(before)):
            if self._anew is not None and self._written.length > MAX_DOUBTFUL:
                self._written = self._anew
            self._anew = _Written()
        if self._anew is not None:
            self._anew.add(piece)
        return self._written.add(piece)

    @staticmethod
    def _is_anew(piece: str, before: str) -> bool:
        return piece.startswith(before) and not before.isspace()

    @property
    def has_arguments(self) -> bool:
        """Whether anything of its arguments has arrived."""
        return self.value is not None or bool(self._written.length)

    @property
    def is_nothing(self) -> bool:
        """Whether it is an entry without any content."""
        return not (self.id or self.name or self.has_arguments)

    @property
    def is_whole(self) -> bool:
        """Whether the arguments received are complete, so that a name begins another call."""
        return self.value is not None or self._written.is_object or (self._anew is not None and self._anew.is_object)

    def is_continued_by(self, piece: Piece) -> bool:
        """Whether a piece with its id may be a part of it."""
        return not piece.name or (piece.name == self.name and not self.is_whole)

    def may_begin(self, earlier: "StreamedCall", written: object) -> bool:
        """Whether this is the beginning of an earlier call, sent again. written: the arguments of that call."""
        is_its_own = (self.id and self.id != earlier.id) or self.batch == earlier.batch
        return not is_its_own and isinstance(written, str) and written.startswith(str(self._written))

    @property
    def is_empty(self) -> bool:
        """Whether its arguments are an empty object, with which some servers begin those that follow."""
        return not self.value and str(self._written).strip(_JSON_SPACE) in ("", "{}")

    def arguments(self) -> object:
        """The arguments as they were sent, in the reading that makes them a JSON object."""
        written = str(self._written)
        if self.value is not None:
            is_other = self.value and self._written.is_object and compared(self.value) != compared(written)
            return unreadable(written, _UNCLEAR) if is_other else self.value if self.value or not written else written
        if self._anew is None or self._written.is_object:
            return written
        return _read_in_one_way(written, str(self._anew))

    @property
    def key(self) -> tuple[str, str]:
        """What is the same for two calls of a tool with the same arguments."""
        return self.name, compared(self.arguments())

    def as_tool_call(self, ending: Ending | None, finish_reason: str) -> ToolCall:
        """The call as it is kept. ending, finish_reason: how the reply ended, and what the server called it."""
        function = {"name": self.name, "arguments": self._kept(ending, finish_reason)}
        return cast(ToolCall, {"id": self.id, "type": "function", "function": function, **self.extra.values()})

    def _kept(self, ending: Ending | None, finish_reason: str) -> str:
        written = self.arguments()
        if ending in ("stop", None) or (isinstance(written, dict) and UNREADABLE in written):
            return as_json_object(written)
        is_whole = not isinstance(written, str) or is_json_object(written, strict=False)
        if is_whole and ending == "length":
            return as_json_object(written)
        text = written if isinstance(written, str) else json.dumps(written, ensure_ascii=False)
        if ending == "length":
            from agentkit.text.call_format import CUT_OFF

            return unreadable(text, CUT_OFF)  # not repaired: what is missing is unknown
        how = "was not run" if is_whole else "was cut off"
        return unreadable(text, f"the call {how}: the server broke the reply off ({cut(finish_reason, 60)})")


def _read_in_one_way(*readings: str) -> str:
    """The reading of arguments that is valid JSON, else what both are repaired to, or what is wrong."""
    valid = [text for text in readings if is_json_object(text, strict=False)]
    if valid:
        return valid[0]
    repaired = [as_json_object(text) for text in readings]
    if repaired[0] == repaired[1]:
        return readings[0]
    wrong = (text for text in repaired if text.startswith(f'{{"{UNREADABLE}"'))
    return next(wrong, unreadable(readings[0], _UNCLEAR))


def compared(arguments: object) -> str:
    text = as_json_object(arguments)
    from agentkit.tooling.json_repair import loads

    return json.dumps(loads(text), sort_keys=True)
