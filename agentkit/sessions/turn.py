"""One turn of a session: what was said before, whether a client's request was answered already, and the journal of the
run that answers it.

The journal is written ahead: messages, and an entry before each call with an effect, are stored before their events are
emitted. A turn that fails before it had an effect is rolled back; one that fails after it stays as it is, and the next
try of the same request goes on from there.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from agentkit._text import canonical_json, joined_surrogates, json_bytes
from agentkit.errors import ConfigurationError, RequestConflictError, SessionError
from agentkit.event import (
    ApprovalNeeded,
    Event,
    OpenCall,
    ReplyFinished,
    TextDelta,
    ToolFinished,
    ToolRecord,
    ToolStarted,
)
from agentkit.evidence.history import restored
from agentkit.evidence.ledger import Kept
from agentkit.limits import Usage
from agentkit.message import Message, ToolCall, tool_result
from agentkit.running.held_messages import with_held
from agentkit.running.open_questions import with_question
from agentkit.sessions.answers import is_answered, may_have_effects, records_of, told_unknown, unknown_of
from agentkit.sessions.log import (
    Entry,
    Marks,
    begins_turn,
    message_entries,
    messages_of,
    of_reply,
    of_result,
    ordered,
    started_calls,
)
from agentkit.sessions.views import begins_at, is_sound, last_view, settled, shortened
from agentkit.sessions.waiting import DECIDED, Waiting, goes_on, left_of, waiting_in
from agentkit.transcript import whats_due

if TYPE_CHECKING:
    from agentkit.sessions.writer import Writer

UNKNOWN = (
    "It is not known whether this call had its effect: the program was stopped while it ran. Check before you make it "
    "again."
)


class Turn:
    """One turn of a session, which is locked for it; without a writer nothing is stored.

    request_id: the id of the client's request, "" for none. state: "new"; "open": the request was begun earlier, and
    goes on where it stopped; "answered": it has its answer already. messages: those of the session, None without one;
    of an answered request those up to its answer. held: the messages that come after the results of open calls.
    records: the calls that an open or answered request has made so far. finish_reason: the server's, of an answer that
    it cut off. is_delivered: whether the client has received the answer to this request, and not only an error, as far
    as is recorded. unknown: the calls that an earlier run started and did not finish. was_cut: whether a part of the
    history was left out for this request. view, spent: which part of the session was sent last, and what that took.
    first_number: the number in the session of the first of `messages`: reading starts with what is sent. instructed:
    how many messages the run has before those of the session; without one, before those that have a number. made: how
    many messages before the run belong to its request already. begins: the index of the first message of the request in
    the transcript of the run.
    asked: the open call that waits for a person's answer, None for none. waiting: the calls that wait for a person,
    None when none does. left: of a decision (`decides`) that an earlier try has taken, the calls for which it still
    counts, by their ids; None for another one. store: where the session is.

    Raises RequestConflictError when the request id was used with another content, or another question was asked since
    the calls of the request may have had effects; SessionError when the session can't be read.
    """

    # what a turn without a session has
    state: Literal["new", "open", "answered"] = "new"
    messages: list[Message] | None = None
    held: Sequence[Message] = ()
    records: Sequence[ToolRecord] = ()
    finish_reason: str = ""
    is_delivered: bool = False
    unknown: Sequence[ToolCall] = ()
    was_cut: bool = False
    view: Mapping[str, Any] | None = None
    spent: Usage | None = None
    first_number: int = 0
    instructed: int = 0
    made: int = 0
    begins: int = 0
    asked: OpenCall | None = None
    waiting: Waiting | None = None
    store: object = None
    left: frozenset[str] | None = None
    _decides: bool = False
    _open_unknown: Sequence[ToolCall] = ()
    _stopped: Entry | None = None
    _replaced: Entry | None = None
    _reads_all: bool = False
    _head: list[Message] | None = None
    _read_from: Entry | None = None
    _start: int = 0
    _length: int = 0
    _first: int = 0
    _left: int = 0
    _is_over: bool = False
    _had_effect: bool = False
    _has_sources: bool = False
    _is_used: bool = False
    _added: int = 0
    _same_from: int = 0
    _begins_at: Mapping[int, dict[str, Any]] = MappingProxyType({})

    def __init__(
        self,
        writer: "Writer | None" = None,
        request_id: str = "",
        content: object = None,
        is_retry: bool = True,
        decides: bool = False,
    ) -> None:
        self.request_id = request_id
        self._decides = decides
        self._writer = writer
        self._content = content
        self._digest = _digest(content) if request_id else ""
        self._is_retry = is_retry
        if writer is not None:
            self.store = writer.store
            self._read(writer)

    @property
    def session_id(self) -> str | None:
        """The id of the session, None without one."""
        return self._writer.id if self._writer is not None else None

    @property
    def offset(self) -> int:
        """The index of the message with the number 0 in the transcript of the run: the session's first one, negative
        where its beginning was not read; without a session the first one behind the system message. In a transcript
        that a repair has made longer or shorter it holds for the messages behind that."""
        return self.instructed - self.first_number + self._added

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to do for this request: it has its answer, or waits for a person."""
        return self.state == "answered" or (self.state == "open" and self.waiting is not None)

    def earlier_sources(self) -> list[Kept]:
        """The sources that the session has."""
        if self._writer is None or not self._has_sources:
            return []
        return [kept for each in self._writer.sources() for kept in restored(each)]

    def source_text(self, digest: str) -> str | None:
        """A text of one of them, by its SHA-256; None when it is not stored."""
        return None if self._writer is None else self._writer.text(digest)

    def begin(self) -> None:
        """A run begins in this turn. Raises ConfigurationError for a second one."""
        if self._is_used:
            raise ConfigurationError("a turn takes one run: open another one with session.turn()")
        self._is_used = True

    # ---- reading

    def _read(self, writer: "Writer") -> None:
        names: tuple[str, ...] = ("view", "sources")
        if self.request_id and self._is_retry:
            names += (f"request:{self.request_id}", f"delivered:{self.request_id}")
        marks, entries = writer.marks_and_entries(*names)
        last, sources, place, delivered = (*marks, None, None)[:4]
        self._has_sources = sources is not None
        view = self._view_from(writer, last)
        if view is None or (place is not None and place < view["from"]["entry"]):
            self._start = self.first_number = 0
        else:
            self._start, self.first_number = view["from"]["entry"], view["from"]["message"]
        entries = writer.entries(self._start) if entries is None else entries
        self._read_from = entries[0] if entries else None
        self._length = self._first = self._start + len(entries)
        behind: list[Entry] | None = None
        if place is not None and place < self._length:
            behind = entries[place - self._start + 1 :]
            entries = self._read_request(entries, place - self._start)
        self.messages, self.held = messages_of(entries)
        self.waiting = waiting_in(entries, self._start)
        self.is_delivered = self.is_settled and is_after(delivered, place)
        self._open_unknown = unknown_of(self.messages, started_calls(entries))
        if self._decides and behind is not None and any(map(goes_on, behind)):
            self.left = left_of(behind, self._not_begun(self.messages))
        made = entries if self.state != "answered" else entries[(place or 0) - self._start : -1]  # without the answer
        self.unknown = [*told_unknown(made), *self._open_unknown]
        seen, self.spent = last_view(entries)
        count = self.first_number + len(self.messages) + len(self.held)
        self.view = shortened(view, count) if view is not None and self._start else seen
        if self.view is not None and not is_sound(self.view, self.messages, self.first_number):
            self.read_all()
            self.view = self.spent = None  # what is sent is selected anew

    def _not_begun(self, messages: Sequence[Message]) -> list[str]:
        due, begun = whats_due(messages), {call["id"] for call in self._open_unknown}
        return [call["id"] for call in due if call["id"] not in begun] if isinstance(due, tuple) else []

    def _view_from(self, writer: "Writer", place: int | None) -> Mapping[str, Any] | None:
        """The view that says from which entry on the session is sent. place: of the last view."""
        view = None if self._reads_all else writer.view_at(place)
        return view[1] if view is not None and "from" in view[1] else None

    def read_all(self) -> None:
        """Read the session from its beginning, also what is not sent of it any more."""
        if self._writer is not None and self._start:
            self._reads_all = True
            self._read(self._writer)

    def whole(self, messages: Sequence[Message], held: Sequence[Message]) -> list[Message]:
        """The messages of the run, with those of the session that were not read before them, and with what an open call
        has asked. held: those that wait until the open calls are answered. Raises SessionError."""
        messages = with_held(with_question(messages, self.asked), held)
        if self._writer is None or not self.first_number:
            return messages
        if self._head is None:
            self._head = self._read_head(self._writer)
        return [*messages[: self.instructed], *self._head, *messages[self.instructed :]]

    def _read_head(self, writer: "Writer") -> list[Message]:
        """The messages of the session before those that were read. Raises SessionError, also when it is no longer the
        session that was read."""
        entries = writer.entries(0, self._start + 1)
        head = messages_of(entries[:-1])[0][: self.first_number]
        if len(head) < self.first_number or entries[-1] != self._read_from:
            raise SessionError(
                f"the beginning of the messages can't be read: session {writer.id!r} was renamed or deleted since its "
                "end was read"
            )
        return head

    def _read_request(self, entries: list[Entry], place: int) -> list[Entry]:
        """Read the state of the request that begins at `place`. Returns the entries that count for this turn."""
        digest, is_decision = entries[place].value.get("digest"), entries[place].value.get("state") == DECIDED
        as_it_came = _digest_of(json_bytes(self._content))  # that of older versions
        if digest is not None and digest not in (self._digest, as_it_came):
            raise RequestConflictError(
                f"the request id {self.request_id!r:.80} was used before with another content: use a new id"
            )
        later = range(place + (1 if is_decision else 2), len(entries))  # behind the question of the request
        end = next((number for number in later if begins_turn(entries[number])), len(entries))
        sent, held = ordered(entries[place:end])
        made = sent + held
        before = ordered(entries[:place])[0] if is_decision else []  # the calls that were decided on
        self.was_cut = any(entry.kind == "view" for entry in entries[place:end])
        if is_answered(made, before):
            self.state, self.made = "answered", len(sent)
            self.finish_reason = made[-1].extra.get("finish_reason", "")
            self.records = records_of(made, before)
            return entries[:end]
        has_begun = made or (is_decision and any(map(goes_on, entries[place + 1 : end])))
        if end < len(entries) and may_have_effects(entries[place:end]):
            raise self._overtaken()
        if not has_begun or end < len(entries):
            return entries  # undone, or another question was asked since: it is asked anew
        self.state = "open"
        if made and made[-1].extra.get("stopped"):  # its answer was stopped in the middle: it is made again
            self._stopped = made[-1]  # and undone when there is something in its place
            entries = [*entries, Entry("undo", 1, "", extra={"dropped_from": self._length})]
            made = made[:-1]
        self.made = min(len(sent), len(made))
        self.records = records_of(made, before)
        return entries

    def _overtaken(self) -> RequestConflictError:
        error = RequestConflictError(
            f"the request {self.request_id!r:.80} has called tools that may have had effects, and another question was "
            "asked before it had its answer: it is not asked again; to ask it all the same, use a new id"
        )
        error.was_overtaken = True
        return error

    # ---- writing

    def unknown_results(self) -> list[Message]:
        """The tool messages that answer the open calls whose effect is not known."""
        return [tool_result(call["id"], f"Error: {UNKNOWN}") for call in self._open_unknown]

    def write(
        self,
        unknown_results: Sequence[Mapping[str, Any]],
        repaired: Sequence[Mapping[str, Any]],
        earlier: Sequence[Mapping[str, Any]],
        question: Sequence[Mapping[str, Any]],
    ) -> None:
        """Store what a run starts with. unknown_results: what was added to `earlier` for unknown calls. repaired: both
        after repair; its new end is stored when nothing in `earlier` had to be changed. question: the user message."""
        if self._writer is None:
            return
        is_longer = list(repaired[: len(earlier)]) == list(earlier)
        if not is_longer:
            self._align([*earlier, *unknown_results], repaired)
        before, blobs = message_entries(repaired[len(earlier) :] if is_longer else unknown_results)
        told = {message["tool_call_id"] for message in unknown_results}
        for entry in before:
            if entry["message"].get("tool_call_id") in told:
                entry["unknown"] = True
        asked, images = message_entries(question)
        begins = bool(self.request_id) and (bool(asked) or (self._decides and self.state == "new"))
        if begins:
            state = DECIDED if self._decides else "begun"
            asked = [{"request": {"id": self.request_id, "state": state, "digest": self._digest}}, *asked]
        begun = {f"request:{self.request_id}": len(before)} if begins else {}
        left: list[Any] = [*(self.messages or ()), *(entry["message"] for entry in before), *self.held]
        self._left = self.first_number + settled(left)
        self._first += len(before)
        self._store(self._writer, [*before, *asked], {**blobs, **images}, begun)

    def _align(self, stored: Sequence[Mapping[str, Any]], repaired: Sequence[Mapping[str, Any]]) -> None:
        """Note by how many messages a repair that is not stored has changed the length of the history, and from which
        number on the session's messages are those of the run."""
        self._added = len(repaired) - len(stored)
        if self._added:
            pairs = zip(reversed(stored), reversed(repaired), strict=False)
            same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
            self._same_from = self.first_number + len(stored) - same

    def add(
        self,
        messages: Sequence[Mapping[str, Any]],
        usage: Usage | None = None,
        extra: Mapping[str, Any] | None = None,
        blobs: Mapping[str, bytes] | None = None,
    ) -> None:
        """Store messages of the run. usage, extra: what the first one took, and further keys of its entry. blobs: what
        these refer to."""
        if self._writer is None:
            return
        self.waiting = None
        entries, images = message_entries(messages, usage)
        for entry in entries:
            if entry["message"]["role"] == "user":
                entry["by"] = "run"  # the user of the session did not write it
        if entries:
            entries[0].update(extra or {})
        has_sources = bool(entries) and "sources" in entries[0]
        self._has_sources = self._has_sources or has_sources
        self._store(self._writer, entries, {**images, **(blobs or {})}, {"sources": 0} if has_sources else {})

    def _store(
        self, writer: "Writer", entries: Sequence[dict[str, Any]], blobs: Mapping[str, bytes], marks: Mapping[str, int]
    ) -> None:
        """Store entries and marks of them; the first are in the place of an answer that was stopped in the middle."""
        undo = [{"undo": 1, "dropped_from": self._length}] if entries and self._stopped is not None else []
        writer.write([*undo, *entries], blobs, Marks({name: place + len(undo) for name, place in marks.items()}))
        self._length += len(undo) + len(entries)
        if undo:
            self._replaced, self._stopped = self._stopped, None

    def note_view(self, view: Mapping[str, Any]) -> None:
        """Store which part of the session is sent from now on. view: `begins` is the number of the first message that
        is sent, behind which all others are left out."""
        self.was_cut = True
        if self._writer is not None and view["begins"] >= self._same_from:  # else its numbers are not the session's
            stored = {name: value for name, value in view.items() if name != "begins"}
            begins = view["begins"]
            if begins not in self._begins_at:  # a long turn is cut many times, and begins at one message
                entries = self._writer.entries(self._start)
                self._begins_at = {begins: begins_at(entries, self._start, self.first_number, begins)}
            self._writer.note_view({**self._begins_at[begins], **stored})
            self._length += 1

    def note(self, event: Event) -> None:
        """Store what an event adds, before the event is emitted."""
        if type(event) is TextDelta and not event.adds:  # nearly all are
            return
        if self.asked is not None or isinstance(event, ApprovalNeeded):
            self._note_question(event)
        if self._writer is None:
            return
        if isinstance(event, ReplyFinished):
            self.add(event.adds, event.reply.usage, of_reply(event.reply))
        elif isinstance(event, ToolFinished):
            self.add(event.adds, None, *of_result(event))
        elif event.adds:
            self.add(event.adds)
        elif isinstance(event, ToolStarted) and not event.read_only:
            self._had_effect = True
            self.waiting = None
            self._writer.mark_started(event.id, event.name, event.raw_arguments)
        elif isinstance(event, ApprovalNeeded):
            self._note_waiting(self._writer, event.calls)

    def _note_waiting(self, writer: "Writer", calls: tuple[OpenCall, ...]) -> None:
        if self.waiting is None or self.waiting.calls != calls:  # else the log has it
            import secrets  # of a run that waits for a person

            self.waiting = Waiting(secrets.token_hex(8), calls)
            writer.mark_waiting(self.request_id, self.waiting)

    def _note_question(self, event: Event) -> None:
        if isinstance(event, ApprovalNeeded):
            self.asked = next((call for call in event.calls if call.question is not None), None)
        elif isinstance(event, ToolFinished) and self.asked is not None and self.asked.id == event.record.id:
            self.asked = None

    def note_stopped(self, reason: str, reasoning: str) -> None:
        """The run was stopped before a reply, of which nothing is kept but this: the model is not told. reason:
        "cancelled" or "seconds". reasoning: what had come of the model's. Raises SessionError."""
        if self._writer is not None:
            self._writer.note_stopped(self.request_id, reason, reasoning)

    def note_delivered(self) -> None:
        """Record that the client has received the answer to its request. Raises SessionError."""
        if self._writer is not None and self.request_id:
            self._writer.note_request(self.request_id, "delivered")

    def roll_back(self) -> None:
        """The run has failed: undo what it has stored, unless it may have had an effect. A stopped answer that
        it has replaced is there again."""
        if self._writer is not None and not self._is_over and not self._had_effect:
            with suppress(SessionError):  # then the next try goes on from what is stored
                self._undo(self._writer)
        self._is_over = True

    def _undo(self, writer: "Writer") -> None:
        stored = writer.entries(self._first)  # also what the store has kept and could not say so
        messages = sum(entry.kind == "message" for entry in stored)
        if self._stopped is not None and any(entry.kind == "undo" for entry in stored):
            self._replaced = self._stopped
        if messages:
            writer.write_undo(messages, self._first, self._left, self._replaced)


def is_after(delivered: int | None, begun: int | None) -> bool:
    """Whether an answer was delivered since its request was begun, by the numbers of the entries that say so."""
    return delivered is not None and (begun is None or delivered > begun)


def _digest(content: object) -> str:
    """A digest of JSON values; the order of the keys of objects means nothing."""
    return _digest_of(joined_surrogates(canonical_json(content)).encode())


def _digest_of(text: bytes) -> str:
    import hashlib

    return hashlib.sha256(text).hexdigest()[:32]
