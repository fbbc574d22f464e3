"""The tool calls of a reply, put together from the pieces in which a server streams them: each once, and whole.

Servers deviate in many ways: ids that are missing, empty, the same for all calls or new in each piece; no index, or 0
for all; a name that is repeated, comes in pieces or after its arguments; arguments that are repeated or sent anew with
each piece; calls that are sent again at the end. A call that is run twice may be two payments, so what may be a
repetition is one call, and two calls are two where the server says so: by different ids, or by different indexes.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from agentkit._text import cut
from agentkit.backend import Begin, Ending, ending_of
from agentkit.event import CallDelta
from agentkit.message import ToolCall
from agentkit.text.call_format import CUT_OFF
from agentkit.tooling.arguments import UNREADABLE, as_json_object, is_json_object, unreadable
from agentkit.tooling.json_repair import loads
from agentkit.tooling.json_scan import JsonScan

FUNCTION_CALL = "function_call"
"""The index of the call in the field of this name, the predecessor of `tool_calls`; some servers send both."""
MAX_DOUBTFUL = 4096
"""How many characters of arguments that were sent anew with each piece are kept in both readings."""
_FIELDS = frozenset(("id", "index", "type", "function", "custom"))
_JSON_SPACE = " \t\r\n"


class StreamedCalls:
    """The calls of one reply.

    ids: a unique prefix for the ids generated for calls without one. begin: called for each call when its arguments are
    complete. deltas: whether the deltas of calls are returned. may_repeat: whether equal calls may be one that the
    server has repeated.
    """

    def __init__(self, ids: str, begin: Begin | None, *, deltas: bool = False) -> None:
        self.may_repeat = True
        self._ids = ids
        self._begin = begin
        self._has_deltas = deltas
        self._calls: list[_Call] = []
        self._by_id: dict[str, _Call] = {}
        self._by_index: dict[int | str, _Call] = {}
        self._batch = 0
        self._started: set[tuple[str, str]] = set()

    def __bool__(self) -> bool:
        return bool(self._calls)

    def feed(self, entries: Sequence[Mapping[str, Any]], *, at_end: bool = False) -> Sequence[CallDelta]:
        """Process the calls of one delta. at_end: whether the finish reason has arrived, with them or before."""
        self._batch += 1
        made: list[CallDelta] = []
        for position, entry in enumerate(entries):
            call, arguments = self._plain(entry)
            if call is None:
                piece = _Piece(entry)
                call, arguments = self._continued(piece, position) or self._new(piece, at_end), piece.arguments
                call.take(piece, self._by_id)
            made += self._extend(call, arguments)
        return made

    def feed_whole(self, entries: Sequence[Mapping[str, Any]]) -> Sequence[CallDelta]:
        """Process the calls of a complete message, which repeats those that were streamed before."""
        self._batch += 1
        before = self._in_order()
        known = {call.compared for call in before}
        made: list[CallDelta] = []
        for position, entry in enumerate(entries):
            piece = _Piece(entry)
            if known and (piece.name, _compared(piece.arguments)) in known:
                continue
            there = before[position] if position < len(before) else None
            call = self._restated(piece, there) or self._new(piece, at_end=False)
            call.take(piece, self._by_id)
            made += self._extend(call, piece.arguments)
        return made

    def finished(self, finish_reason: str) -> list[ToolCall]:
        """Return the calls. finish_reason: the server's. A call that it cut off, and one of a reply that a failure or a
        filter broke off, has a text in place of its arguments that tells the model so."""
        calls = self._once_each()
        used_ids: set[str] = set()
        sent_ids = {call.id for call in calls}
        for position, call in enumerate(calls):
            if call.id in used_ids or not call.id:
                call.id = f"{self._ids}_{position}"
                while call.id in sent_ids:
                    call.id += "_"
            used_ids.add(call.id)
        ending = ending_of(finish_reason)
        return [call.as_tool_call(ending, finish_reason) for call in calls]

    # ---- which call a piece belongs to

    def _plain(self, entry: Mapping[str, Any]) -> "tuple[_Call | None, object]":
        """The call and the arguments of an entry that has nothing but an index and a piece of the arguments, as most
        have; None for another."""
        function = entry.get("function")
        if len(entry) != 2 or not function or len(function) != 1:
            return None, None
        arguments = function.get("arguments")
        return (None if arguments is None else self._by_index.get(entry.get("index", ""))), arguments

    def _new(self, piece: "_Piece", at_end: bool) -> "_Call":
        call = _Call(piece.index, self._batch, at_end)
        self._calls.append(call)
        if call.index is not None:
            self._by_index[call.index] = call
        return call

    def _continued(self, piece: "_Piece", position: int) -> "_Call | None":
        """The call that a piece continues; None when it begins one."""
        if piece.index is not None:
            last = self._by_index.get(piece.index)
        else:
            last = self._calls[-1] if self._calls and position == 0 else None
        if piece.id and (piece.index is None or last is None):
            known = self._by_id.get(piece.id)
            if known is not None and known.batch != self._batch and known.is_continued_by(piece):
                return known
        return None if last is None or (piece.name and self._begins_another(last, piece)) else last

    @staticmethod
    def _begins_another(last: "_Call", piece: "_Piece") -> bool:
        """Whether a piece with a name, and the index of an earlier call (some servers send none, or 0 for all), is a
        new call.

        It is if it has either a different id (some servers send a new id with each piece) or the arguments before it
        are complete.
        """
        if not last.name:
            return False
        if piece.id and last.id:
            return piece.id != last.id
        if (piece.name == last.name or last.is_named_late) and piece.is_blank:
            return False  # a server that repeats the name in every piece, or sends it last
        return last.is_whole and not (piece.name == last.name and last.is_empty)

    def _restated(self, piece: "_Piece", there: "_Call | None") -> "_Call | None":
        """The call of the stream that an entry of the complete message is; None when it is another one. there: the one
        at the same place."""
        known = self._by_id.get(piece.id)
        if known is None or known.batch == self._batch:
            known = there
        return known if known is not None and known.name in (piece.name, "") else None

    # ---- what a piece adds

    def _extend(self, call: "_Call", arguments: object) -> Sequence[CallDelta]:
        """Add a piece of the arguments; return its delta, where they are wanted."""
        if isinstance(arguments, str):
            if call.add(arguments) and self._begin is not None:
                self._start(call)
            if self._has_deltas and arguments:
                return (CallDelta(call.name, arguments),)
        elif arguments is not None:
            call.value = arguments
        return ()

    def _start(self, call: "_Call") -> None:
        """Report a call whose arguments are complete, once."""
        arguments = as_json_object(call.arguments())
        started = (call.name, _compared(arguments))
        if not call.name or call.is_begun or started in self._started or self._begin is None:
            return
        self._started.add(started)
        call.is_begun = True
        before = self._calls[: self._calls.index(call)]
        self._begin(call.name, arguments, [each.name for each in before])

    # ---- each call once

    def _in_order(self) -> list["_Call"]:
        """Sort the calls by index if each has a unique one: pieces of several calls may be interleaved."""
        indexes = [call.index for call in self._calls if isinstance(call.index, int)]
        if len(set(indexes)) < len(self._calls):
            return list(self._calls)
        return sorted(self._calls, key=lambda call: call.index if isinstance(call.index, int) else 0)

    def _once_each(self) -> list["_Call"]:
        calls = [call for call in self._in_order() if not call.is_nothing]
        others = [call for call in calls if call.index != FUNCTION_CALL]
        calls = others or calls
        if not self.may_repeat or _are_distinct(calls):
            return calls
        names = Counter(call.name for call in calls)
        twins: dict[tuple[str, str], _Twins] = {}
        kept = []
        for call in calls:
            if names[call.name] == 1 or twins.setdefault(call.compared, _Twins()).takes(call):
                kept.append(call)
        return kept


def _are_distinct(calls: Sequence["_Call"]) -> bool:
    """Whether the server tells all calls apart."""
    if len(calls) < 2:
        return True
    ids = {call.id for call in calls}
    indexes = {call.index for call in calls}
    has_own_indexes = len(indexes) in (1, len(calls)) and (None in indexes or len(indexes) > 1)
    return "" not in ids and len(ids) == len(calls) and (has_own_indexes or len({call.batch for call in calls}) == 1)


class _Twins:
    """The calls with one name and the same arguments."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._indexes: dict[int | str | None, int] = {}
        self._without_id: list[_Call] = []

    def takes(self, call: "_Call") -> bool:
        """Whether a call is another one, and not a repetition of one of them."""
        is_another = self._is_another(call)
        if call.id and not is_another and self._without_id and call.id not in self._ids:
            self._without_id.pop().id = call.id
        if call.id:
            self._ids.add(call.id)
        elif is_another:
            self._without_id.append(call)
        if is_another:
            self._indexes.setdefault(call.index, call.batch)
        return is_another

    def _is_another(self, call: "_Call") -> bool:
        if not self._indexes:
            return True
        if call.id in self._ids:
            return False
        has_own_index = call.index is not None and call.index not in self._indexes
        if not call.id:  # only a server without ids, which numbers its calls or sends them together, means two
            is_beside = bool(self._without_id) and self._without_id[-1].batch == call.batch
            return not self._ids and (is_beside or (has_own_index and not call.at_end))
        is_at_once = self._indexes.get(call.index) == call.batch
        return not self._without_id and (call.index is None or has_own_index or is_at_once)


class _Piece:
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
class _Call:
    """batch: the number of the delta that it began in. at_end: whether the finish reason had arrived then."""

    index: int | str | None
    batch: int
    at_end: bool
    id: str = ""
    name: str = ""
    is_named_late: bool = False
    is_begun: bool = False
    value: Any = None
    extra: dict[str, Any] = field(default_factory=dict)
    _written: _Written = field(default_factory=_Written)
    _anew: _Written | None = None
    """The arguments from the last piece on that began with all of the arguments before it: that piece may be all of
    them so far, or an object inside of them that begins like them."""

    def take(self, piece: _Piece, by_id: "dict[str, _Call]") -> None:
        """Take what a piece says beside the arguments. by_id: gets the call under its id."""
        if piece.id:
            self.id = self.id or piece.id
            by_id[piece.id] = self
        name = piece.name
        if name and name != self.name:  # names may be streamed in parts; a repeated complete name is the same name
            self.is_named_late = self.is_named_late or (not self.name and self._has_arguments)
            self.name = name if name.startswith(self.name) else self.name + name
        for key, value in piece.entry.items():
            if key not in _FIELDS and value is not None:
                self.extra[key] = merged(self.extra.get(key), value)

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
    def _has_arguments(self) -> bool:
        return self.value is not None or bool(self._written.length)

    @property
    def is_nothing(self) -> bool:
        """Whether it is an entry without any content."""
        return not (self.id or self.name or self._has_arguments)

    @property
    def is_whole(self) -> bool:
        """Whether the arguments received are complete, so that a name begins another call."""
        return self.value is not None or self._written.is_object or (self._anew is not None and self._anew.is_object)

    def is_continued_by(self, piece: _Piece) -> bool:
        """Whether a piece with its id may be a part of it."""
        return not piece.name or (piece.name == self.name and not self.is_whole)

    @property
    def is_empty(self) -> bool:
        """Whether its arguments are an empty object, with which some servers begin those that follow."""
        return not self.value and str(self._written).strip(_JSON_SPACE) in ("", "{}")

    def arguments(self) -> object:
        """The arguments as they were sent, in the reading that makes them a JSON object."""
        if self.value or (self.value is not None and not self._written.length):
            return self.value
        if self._anew is None or self._written.is_object:
            return str(self._written)
        if self._anew.is_object:
            return str(self._anew)
        readings = str(self._written), str(self._anew)
        return next((text for text in readings if is_json_object(text, strict=False)), self._doubtful(*readings))

    @staticmethod
    def _doubtful(*readings: str) -> str:
        """Arguments with two readings, none of them valid JSON: what both are repaired to, or what is wrong."""
        repaired = [as_json_object(text) for text in readings]
        if repaired[0] == repaired[1]:
            return readings[0]
        unclear = unreadable(readings[0], "it is not clear which of the arguments that the server sent are meant")
        return next((text for text in repaired if text.startswith(f'{{"{UNREADABLE}"')), unclear)

    @property
    def compared(self) -> tuple[str, str]:
        """What is the same for two calls of a tool with the same arguments."""
        return self.name, _compared(self.arguments())

    def as_tool_call(self, ending: Ending | None, finish_reason: str) -> ToolCall:
        """The call as it is kept. ending, finish_reason: how the reply ended, and what the server called it."""
        function = {"name": self.name, "arguments": self._kept(ending, finish_reason)}
        return cast(ToolCall, {"id": self.id, "type": "function", "function": function, **self.extra})

    def _kept(self, ending: Ending | None, finish_reason: str) -> str:
        written = self.arguments()
        if ending in ("stop", None) or (isinstance(written, dict) and UNREADABLE in written):
            return as_json_object(written)
        is_whole = not isinstance(written, str) or is_json_object(written, strict=False)
        if is_whole and ending == "length":
            return as_json_object(written)
        text = written if isinstance(written, str) else json.dumps(written, ensure_ascii=False)
        if ending == "length":
            return unreadable(text, CUT_OFF)  # not repaired: what is missing is unknown
        how = "was not run" if is_whole else "was cut off"
        return unreadable(text, f"the call {how}: the server broke the reply off ({cut(finish_reason, 60)})")


def _compared(arguments: object) -> str:
    text = as_json_object(arguments)
    return json.dumps(loads(text), sort_keys=True)


def merged(before: Any, new: Any) -> Any:
    """Merge a field with its next delta: lists grow (deltas with the same index are one entry), dicts are merged,
    strings of entries are joined; any other value is replaced."""
    if isinstance(new, list):
        if not isinstance(before, list):
            return list(new)  # a copy, which grows in place
        for entry in new:
            same = before and isinstance(entry, dict) and _continues(before[-1], entry)
            before[-1:] = [_joined(before[-1], entry)] if same else [*before[-1:], entry]
        return before
    if isinstance(before, dict) and isinstance(new, dict):
        return {**before, **new}
    return new


def _continues(last: Any, entry: Mapping[str, Any]) -> bool:
    """Whether a delta continues the last entry: OpenRouter streams `reasoning_details` with one `index` and `type`."""
    if not isinstance(last, dict) or "index" not in entry:
        return False
    return bool(last.get("index") == entry["index"] and last.get("type") == entry.get("type"))


def _joined(last: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    joined = {**last, **{key: value for key, value in entry.items() if value is not None}}
    for key in ("text", "summary", "data"):
        if isinstance(last.get(key), str) and isinstance(entry.get(key), str):
            joined[key] = last[key] + entry[key]
    return joined
