"""The tool calls of a reply, put together from the pieces in which a server streams them: each once, and whole.

Servers deviate in many ways: ids that are missing, empty, the same for all calls or new in each piece; no index, or 0
for all; a name that is repeated, comes in pieces or after its arguments; arguments that are repeated or sent anew with
each piece; calls that are sent again at the end. A call that is run twice may be two payments, so what may be a
repetition is one call, and two calls are two where the server says so: by different ids, or by different indexes.
"""

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.backend import Begin, ending_of
from agentkit.backends.call_pieces import Piece, StreamedCall, compared
from agentkit.event import CallDelta
from agentkit.message import ToolCall
from agentkit.net.abort import Aborted, is_aborted
from agentkit.tooling.arguments import as_json_object

FUNCTION_CALL = "function_call"
"""The index of the call in the field of this name, the predecessor of `tool_calls`; some servers send both."""
MAX_EARLY = 100
"""How many calls of a reply are reported before its end, at the most."""


class StreamedCalls:
    """The calls of one reply.

    ids: a unique prefix for the ids generated for calls without one. begin: called for each of the first MAX_EARLY
    calls when its arguments are complete. deltas: whether the deltas of calls are returned. may_repeat: whether equal
    calls may be one that the server has repeated.
    """

    def __init__(self, ids: str, begin: Begin | None, *, deltas: bool = False) -> None:
        self.may_repeat = True
        self._ids = ids
        self._begin = begin
        self._has_deltas = deltas
        self._calls: list[StreamedCall] = []
        self._by_id: dict[str, StreamedCall] = {}
        self._by_index: dict[int | str, StreamedCall] = {}
        self._batch = 0
        self._is_counted_anew = False
        self._started: dict[tuple[str, str], _Twins] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def feed(self, entries: Sequence[Mapping[str, Any]], *, at_end: bool = False) -> Sequence[CallDelta]:
        """Process the calls of one delta. at_end: whether the finish reason has arrived, with them or before."""
        self._batch += 1
        made: list[CallDelta] = []
        for position, entry in enumerate(entries):
            call, arguments = self._plain(entry)
            if call is None:
                piece = Piece(entry)
                call, arguments = self._continued(piece, position) or self._new(piece, at_end), piece.arguments
                call.take(piece, self._by_id)
            made += self._extend(call, arguments)
        return made

    def feed_whole(self, entries: Sequence[Mapping[str, Any]]) -> Sequence[CallDelta]:
        """Process the calls of a complete message, which repeats those that were streamed before."""
        self._batch += 1
        before = self._in_order()
        known = {call.key for call in before}
        made: list[CallDelta] = []
        for position, entry in enumerate(entries):
            piece = Piece(entry)
            if known and (piece.name, compared(piece.arguments)) in known:
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

    def _plain(self, entry: Mapping[str, Any]) -> "tuple[StreamedCall | None, object]":
        """The call and the arguments of an entry that has nothing but an index and a piece of the arguments, as most
        have; None for another."""
        function = entry.get("function")
        if len(entry) != 2 or not function or len(function) != 1:
            return None, None
        arguments = function.get("arguments")
        if arguments is None or self._is_counted_anew:
            return None, None
        return self._by_index.get(entry.get("index", "")), arguments

    def _new(self, piece: "Piece", at_end: bool) -> "StreamedCall":
        call = StreamedCall(piece.index, self._batch, at_end)
        self._calls.append(call)
        if call.index is not None:
            self._by_index[call.index] = call
        return call

    def _continued(self, piece: "Piece", position: int) -> "StreamedCall | None":
        """The call that a piece continues; None when it begins one."""
        if piece.index is not None:
            last = self._by_index.get(piece.index)
            if last is None or (self._is_counted_anew and last.is_whole):
                last = self._under_another_index(piece) or last
        else:
            last = self._calls[-1] if self._calls and position == 0 else None
        if piece.id and (piece.index is None or last is None):
            known = self._by_id.get(piece.id)
            if known is not None and known.batch != self._batch and known.is_continued_by(piece):
                return known
        return None if last is None or (piece.name and self._begins_another(last, piece)) else last

    def _under_another_index(self, piece: "Piece") -> "StreamedCall | None":
        """The last call, when it has no arguments yet, and a piece without name and id has some: some servers count the
        calls in one way where they begin, and in another for the arguments."""
        last = self._calls[-1] if self._calls and not (piece.id or piece.name or piece.is_blank) else None
        if last is None or not last.name or last.has_arguments or piece.index is None:
            return None
        self._is_counted_anew = True
        self._by_index[piece.index] = last
        return last

    @staticmethod
    def _begins_another(last: "StreamedCall", piece: "Piece") -> bool:
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

    def _restated(self, piece: "Piece", there: "StreamedCall | None") -> "StreamedCall | None":
        """The call of the stream that an entry of the complete message is; None when it is another one. there: the one
        at the same place."""
        known = self._by_id.get(piece.id)
        if known is None or known.batch == self._batch:
            known = there
        return known if known is not None and known.name in (piece.name, "") else None

    # ---- what a piece adds

    def _extend(self, call: "StreamedCall", arguments: object) -> Sequence[CallDelta]:
        """Add a piece of the arguments; return its delta, where they are wanted."""
        if is_aborted():  # what a hostile model writes may take long to read
            raise Aborted
        if isinstance(arguments, str):
            if call.add(arguments) and self._begin is not None:
                self._start(call)
            if self._has_deltas and arguments:
                return (CallDelta(call.name, arguments),)
        elif arguments is not None:
            call.value = arguments
        return ()

    def _start(self, call: "StreamedCall") -> None:
        """Report a call whose arguments are complete, once."""
        if not call.name or call.is_begun or self._begin is None or len(self._calls) > MAX_EARLY:
            return
        call.is_begun = True
        if self.may_repeat and not self._started.setdefault(call.key, _Twins()).takes(call):
            return
        arguments = as_json_object(call.arguments())
        before = self._calls[: self._calls.index(call)]
        call.meant = self._begin(call.name, arguments, [each.meant or each.name for each in before]) or ""

    # ---- each call once

    def _in_order(self) -> list["StreamedCall"]:
        """Sort the calls by index if each has a unique one: pieces of several calls may be interleaved."""
        if len(self._calls) < 2:
            return list(self._calls)
        indexes = [call.index for call in self._calls if isinstance(call.index, int)]
        if len(set(indexes)) < len(self._calls):
            return list(self._calls)
        return sorted(self._calls, key=lambda call: call.index if isinstance(call.index, int) else 0)

    def _once_each(self) -> list["StreamedCall"]:
        calls = [call for call in self._in_order() if not call.is_nothing]
        others = [call for call in calls if call.index != FUNCTION_CALL]
        calls = others or calls
        if self.may_repeat:
            calls = _without_begun_again(calls)
        if not self.may_repeat or _are_distinct(calls):
            return calls
        names = Counter(call.name for call in calls)
        twins: dict[tuple[str, str], _Twins] = {}
        kept = []
        for call in calls:
            if names[call.name] == 1 or twins.setdefault(call.key, _Twins()).takes(call):
                kept.append(call)
        return kept


def _without_begun_again(calls: Sequence["StreamedCall"]) -> list["StreamedCall"]:
    """The calls without those that are only the beginning of a repetition: of a name, or one that was cut off."""
    if len(calls) < 2:
        return list(calls)
    kept: list[StreamedCall] = []
    whole: dict[str, StreamedCall] = {}
    arguments_of = functools.cache(StreamedCall.arguments)
    for call in calls:
        earlier = whole.get(call.name)
        if call.is_whole:
            whole[call.name] = call
        elif earlier is not None and call.may_begin(earlier, arguments_of(earlier)):
            continue
        kept.append(call)
    return kept


def _are_distinct(calls: Sequence["StreamedCall"]) -> bool:
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
        self._without_id: list[StreamedCall] = []

    def takes(self, call: "StreamedCall") -> bool:
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

    def _is_another(self, call: "StreamedCall") -> bool:
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
