"""The runs of a trace, built record by record; what is shown of each text is bounded."""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentkit._text import cut
from agentkit.cli.trace.records import Record, of_whole, text_in
from agentkit.limits import Usage
from agentkit.message import reasoning_of
from agentkit.record import amount_of, usage_from

SHOWN, SHOWN_LATER, PAGE = 20_000, 300, 30_000_000
"""Characters shown of one text, and of one after so many characters of the page."""
GIVEN = 30
"""Messages that a run began with and that are shown, beside the first."""
ITEMS = 20_000
"""Replies and calls that are shown; of the others, tokens count."""


@dataclass
class Call:
    """A tool call. state: "pending" (not run), "running" (no answer), "done", "failed", "unknown" (the effect)."""

    id: str
    name: str
    arguments: str
    state: str = "pending"
    began: float | None = None
    ended: float | None = None
    seconds: float | None = None
    response: str = ""
    progress: list[str] = field(default_factory=list)


@dataclass
class Said:
    """A message of another than the model, or a note (role "note")."""

    role: str
    text: str


@dataclass
class Turn:
    """A request to the model, and the calls of its reply. before: what was said before it."""

    number: int
    began: float | None
    before: list[Said] = field(default_factory=list)
    ended: float | None = None
    is_complete: bool = False
    reasoning: str = ""
    text: str = ""
    model: str = ""
    finish_reason: str = ""
    usage: Usage | None = None
    discarded: list[Said] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


@dataclass
class TracedRun:
    """One run. stopped: None where the record ends before the run did. given: the messages that it began with."""

    clock: str = ""
    given: list[Said] = field(default_factory=list)
    given_left_out: int = 0
    turns: list[Turn] = field(default_factory=list)
    rest: list[Said] = field(default_factory=list)
    stopped: str | None = None
    error: str = ""
    output: str = ""
    usage: Usage = field(default_factory=Usage)
    ended: float | None = None
    left_out: int = 0


EVENTS = (
    *("run_started", "message", "note", "limit_reached", "loop_detected", "reply_started", "text_delta"),
    *("reasoning_delta", "reply_discarded", "reply_finished", "tool_started", "tool_progress", "tool_finished"),
    *("unknown_effect", "approval_needed", "run_finished"),
)
"""The records that are shown: the names of events, and of those that `agentkit.cli.trace.records` makes."""


class Runs:
    """Takes in records. list: the runs so far."""

    def __init__(self) -> None:
        self.list: list[TracedRun] = []
        self._at: float | None = None
        self._before: float | None = None
        self._parts: dict[str, list[str]] = {}
        self._open: dict[str, deque[Call]] = {}
        self._number = self._added = self._items = 0
        self._space = PAGE
        self._is_ended, self._has_start = True, False

    def add(self, record: Record) -> None:
        """Take in a record; what is no record of a run is ignored."""
        at = amount_of(record.get("at"))
        if record["event"] == "whole":
            self._add_whole(_dict(record.get("result")))
        if record["event"] not in EVENTS:
            return
        is_earlier = at is not None and self._at is not None and at < self._at and not self._has_start
        if self._is_ended or is_earlier or record["event"] == "run_started":
            self._begin()
        self._before, self._at = self._at, at if at is not None else self._at
        self._added += len(_list(record.get("adds")))
        getattr(self, f"_{record['event']}")(record, at)

    def _add_whole(self, result: Record) -> None:
        if "error" in result and not self._is_ended:  # why the run failed whose events came before
            self._run_finished({"result": result}, self._at)
            return
        for record in of_whole(result):
            self.add(record)

    def _begin(self) -> None:
        self.end()
        self.list.append(TracedRun())
        self._at, self._number, self._added = None, 0, 0
        self._open, self._is_ended, self._has_start = {}, False, False

    @property
    def _run(self) -> TracedRun:
        return self.list[-1]

    def _turn(self, is_new: bool = False, began: float | None = None) -> Turn:
        turns = self._run.turns
        if is_new or not turns:
            self._arrived()
            self._parts, self._open = {}, {}
            self._number += 1
            made = Turn(self._number, began, self._run.rest)
            self._run.rest = []
            if self._has_room() or not turns:
                turns.append(made)
            else:
                self._run.left_out += 1
                turns[-1] = made
        return turns[-1]

    def _has_room(self) -> bool:
        self._items += 1
        return self._items <= ITEMS

    def _arrived(self) -> None:
        """What has arrived of a reply that is not complete."""
        for name, parts in self._parts.items():
            setattr(self._run.turns[-1], name, self.shown("".join(parts)))

    def shown(self, value: Any) -> str:
        """A text as it is shown: its beginning and its end."""
        text = "" if value is None else value if isinstance(value, str) else _indented(value)
        most = SHOWN if self._space > 0 else SHOWN_LATER
        if len(text) > most:
            kept = most * 3 // 4
            note = f"\n[… {len(text) - most:,} characters are left out …]\n"
            text = text[:kept] + note + text[len(text) - (most - kept) :]
        self._space -= len(text)
        return text

    def _said(self, message: Any) -> Said:
        message = message if isinstance(message, dict) else {}
        return Said(_word(message.get("role")) or "message", self.shown(text_in(message.get("content"))))

    # A method for each event

    def _run_started(self, record: Record, at: float | None) -> None:
        self._run.clock, self._has_start = _word(record.get("clock")), True
        self._give(_list(record.get("given")))

    def _give(self, messages: list[Any]) -> None:
        """The messages that the run began with; of a long conversation the instructions and the last ones."""
        first = int(len(messages) > GIVEN)
        self._run.given = [self._said(message) for message in [*messages[:first], *messages[first:][-GIVEN:]]]
        self._run.given_left_out = max(0, len(messages) - first - GIVEN)

    def _message(self, record: Record, at: float | None) -> None:
        self._run.rest.append(self._said(record.get("message")))

    def _note(self, record: Record, at: float | None) -> None:
        self._run.rest.append(Said("note", self.shown(record.get("text"))))

    def _limit_reached(self, record: Record, at: float | None) -> None:
        self._run.rest.append(Said("limit", f"The limit on {_word(record.get('limit'))} is reached: a last answer."))

    def _loop_detected(self, record: Record, at: float | None) -> None:
        self._run.rest.append(Said("loop", self.shown(record.get("what"))))

    def _reply_started(self, record: Record, at: float | None) -> None:
        self._turn(is_new=True, began=at)

    def _text_delta(self, record: Record, at: float | None) -> None:
        self._delta("text", record)

    def _reasoning_delta(self, record: Record, at: float | None) -> None:
        self._delta("reasoning", record)

    def _delta(self, name: str, record: Record) -> None:
        self._turn().ended = self._at
        parts = self._parts.setdefault(name, [])
        if len(parts) < SHOWN:  # each has a letter at least
            parts.append(_text(record.get("text"))[:SHOWN])

    def _reply_discarded(self, record: Record, at: float | None) -> None:
        turn = self._turn()
        text = "\n\n".join("".join(parts) for parts in self._parts.values())
        why = " ".join(filter(None, (_word(record.get("model")), _word(record.get("reason")))))
        turn.discarded.append(Said(why, self.shown(text)))
        self._parts = {}

    def _reply_finished(self, record: Record, at: float | None) -> None:
        turns = self._run.turns
        turn = self._turn(not turns or turns[-1].is_complete, self._before)
        reply = _dict(record.get("reply"))
        message = _dict(reply.get("message"))
        self._parts = {}
        turn.ended, turn.is_complete = at, True
        turn.text = self.shown(text_in(message.get("content")))
        turn.reasoning = self.shown(reasoning_of(message)) or turn.reasoning
        turn.finish_reason = _word(reply.get("finish_reason"))
        turn.model = _word(record.get("model") or reply.get("model"))
        if isinstance(reply.get("usage"), dict):
            turn.usage = usage_from(reply["usage"])
            self._run.usage += turn.usage
        for call in map(_dict, _list(message.get("tool_calls"))):
            function = _dict(call.get("function"))
            self._new_call(call.get("id"), function.get("name"), function.get("arguments"))
        self._run.rest += [self._said(message) for message in _list(reply.get("then"))]

    def _call(self, record: Mapping[str, Any]) -> Call:
        """The first call of the reply that has this id and no answer."""
        waiting = self._open.get(_text(record.get("id")))
        return waiting[0] if waiting else self._new_call(*map(record.get, ("id", "name", "raw_arguments")))

    def _new_call(self, call_id: Any, name: Any, arguments: Any) -> Call:
        call = Call(_text(call_id), _word(name) or "(no name)", self.shown(_pretty(arguments)))
        calls = self._turn().calls
        if self._has_room():
            calls.append(call)
        else:
            self._run.left_out += 1
        self._open.setdefault(call.id, deque()).append(call)
        return call

    def _tool_started(self, record: Record, at: float | None) -> None:
        call = self._call(record)
        call.began, call.state = at, "running"
        approved = _pretty(record.get("raw_arguments"))
        if approved and approved[:SHOWN_LATER] != call.arguments[:SHOWN_LATER]:  # a person has changed them
            call.arguments = self.shown(approved)

    def _tool_progress(self, record: Record, at: float | None) -> None:
        call = self._call(record)
        if len(call.progress) < 1000:
            call.progress.append(self.shown(record.get("text")))

    def _tool_finished(self, record: Record, at: float | None) -> None:
        made = _dict(record.get("record"))
        call = self._call(made)
        call.seconds = amount_of(made.get("seconds"))
        call.ended, call.state = at, "done" if made.get("error") is None else "failed"
        self._run.stopped = "answer" if record.get("ends_run") is True else None
        call.response = self.shown(made.get("response"))
        self._open[call.id].popleft()
        self._run.usage += Usage(tool_calls=1)
        self._run.rest += [self._said(message) for message in _list(record.get("adds"))[1:]]

    def _unknown_effect(self, record: Record, at: float | None) -> None:
        names = {_text(_dict(call).get("id")) for call in _list(record.get("calls"))}
        for call in self._run.turns[-1].calls if self._run.turns else ():
            call.state = "unknown" if call.id in names else call.state

    def _approval_needed(self, record: Record, at: float | None) -> None:
        for call in _list(record.get("calls")):
            self._call(_dict(call)).state = "approval"

    def _run_finished(self, record: Record, at: float | None) -> None:
        run, result = self._run, _dict(record.get("result"))
        run.ended, run.error = at, self.shown(result["error"]) if "error" in result else ""
        run.stopped = _word(result.get("stopped")) or ("error" if run.error else "")
        if isinstance(result.get("usage"), dict):
            run.usage = usage_from(result["usage"])
        messages = _list(result.get("messages"))
        if not self._has_start:
            self._give(messages[: len(messages) - self._added])
        self._records(_list(result.get("tool_calls")))
        self._unknown_effect({"calls": result.get("unknown_calls")}, at)
        run.rest += [Said("repaired", self.shown(each)) for each in _list(result.get("repairs"))]
        output = result.get("output")
        text = output if isinstance(output, str) else self.shown(output)
        is_there = output is None or (run.turns and self.shown(text) == run.turns[-1].text)
        run.output = "" if is_there else self.shown(text)
        self.end()

    def _records(self, records: list[Any]) -> None:
        """How long the calls of a whole result took; the records are of its last calls."""
        calls = [call for turn in self._run.turns for call in turn.calls if call.state in ("done", "failed")]
        for call, record in zip(reversed(calls), map(_dict, reversed(records)), strict=False):
            if call.id == _text(record.get("id")) and call.seconds is None:
                call.seconds = amount_of(record.get("seconds"))

    def end(self) -> None:
        """No more records of the run follow."""
        if self.list:
            self._arrived()
        self._parts, self._is_ended = {}, True


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _word(value: Any) -> str:
    return cut(_text(value), SHOWN_LATER)


def _pretty(arguments: Any) -> str:
    """JSON text as it is read best; what is no JSON as it is."""
    try:
        return _indented(json.loads(arguments))
    except (TypeError, ValueError, RecursionError):
        return _text(arguments)


def _indented(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, indent=2)
    except RecursionError:
        return json.dumps(value, ensure_ascii=False)  # in C, as it was read
