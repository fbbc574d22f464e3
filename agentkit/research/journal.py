"""The state of a research as it is stored: what is done is not done again after Ctrl-C, a crash or kill -9.

A log in a session of its own, one JSON record a message: what was asked, the plan, each source with the text that was
read, who has read it, each note, each sub-question that is done, each part of the report; with each what was spent.
"""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from agentkit._forking import freed_by_forks
from agentkit._text import json_text
from agentkit.errors import ConfigurationError, SessionBusyError, SessionError
from agentkit.evidence.source import Source
from agentkit.limits import Budget, Usage
from agentkit.record import amount_of, stored_usage, usage_from
from agentkit.research.notes import Note
from agentkit.session import INTERNAL, Session, Sessions

PREFIX = f"{INTERNAL}research:"
"""Begins the ids under which a store has researches, beside its conversations."""
FORM = 1


class Writes(Protocol):
    """The writer of a session."""

    def append(self, messages: Iterable[Mapping[str, Any]]) -> None: ...


@dataclass
class State:
    """What is known of a research. notes, stopped, read: by the number of the sub-question, from 0; read: the numbers
    of sources. parts: of the report, by the digest of what each was made from. spent, known_cost: in earlier runs, the
    cost as far as it is known. options: of the command that has begun it."""

    question: str = ""
    plan: list[str] = field(default_factory=list)
    notes: dict[int, list[Note]] = field(default_factory=dict)
    stopped: dict[int, str] = field(default_factory=dict)
    read: dict[int, list[int]] = field(default_factory=dict)
    sources: dict[int, Source] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    spent: Usage = field(default_factory=Usage)
    known_cost: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)

    def take(self, kind: str, value: Any) -> None:
        """Take in a record. Raises what a damaged one raises."""
        if kind == "asked":
            if value["form"] > FORM:
                raise SessionError("this research was written by a newer agentkit: install a newer version")
            self.question = value["question"]
        elif kind == "options":
            self.options = dict(value)
        elif kind == "plan":
            self.plan = [str(each) for each in value]
        elif kind == "source":
            self._take_source(value)
        elif kind in ("read", "note", "done"):
            self._take_of_a_question(kind, value["of"], value)
        elif kind == "part":
            self.parts[value["digest"]] = value["text"]
        elif kind == "spent":
            self.spent, self.known_cost = usage_from(value), amount_of(value.get("known_cost")) or 0.0

    def _take_of_a_question(self, kind: str, of: int, value: Mapping[str, Any]) -> None:
        if kind == "read":
            self.read.setdefault(of, []).append(value["number"])
        elif kind == "note":
            self.notes.setdefault(of, []).append(Note(value["text"], value["automatic"]))
        else:
            self.stopped[of] = value["stopped"]

    def _take_source(self, value: Mapping[str, Any]) -> None:
        known = self.sources.get(value["number"])
        texts = tuple(value.get("texts") or ())
        if known is not None and known.read == value["read"]:
            texts = tuple(dict.fromkeys((*known.texts, *texts)))
        self.sources[value["number"]] = Source(**{**value, "also": tuple(value["also"]), "texts": texts})


class Journal:
    """Writes the state; shared by threads. writer: of a session; None keeps nothing. budget: of this run."""

    def __init__(self, writer: Writes | None, state: State) -> None:
        self.state = state
        self.budget: Budget | None = None
        self.failed = ""
        self._writer = writer
        self._lock = freed_by_forks(threading.Lock())
        self._texts = {key for source in state.sources.values() for key in _keys(source)}
        self._read = {(of, number) for of, numbers in state.read.items() for number in numbers}

    def write(self, **records: Any) -> None:
        """Keep records, and what is spent by now: they are stored when this returns. Where they can't be, the research
        goes on without: `failed` says why."""
        if self._writer is None:
            return
        with self._lock:
            try:
                spent = {} if self.budget is None else {"spent": self._spent(self.budget)}
                self._writer.append([{"role": "user", "content": json_text({**records, **spent})}])
            except SessionError as error:
                self.failed = self.failed or str(error)

    def _spent(self, budget: Budget) -> dict[str, Any]:
        known_cost = self.state.known_cost + budget.known_cost
        return {**stored_usage(self.state.spent + budget.usage), "known_cost": known_cost}

    def source(self, source: Source, of: int, *, read: bool) -> None:
        """Keep a source with its texts, each version once. of: the sub-question for which it was found, or read."""
        if self._writer is None:
            return
        texts = zip(_keys(source), source.texts or ("",), strict=True)
        keys = {key: text for key, text in texts if key not in self._texts}
        records: dict[str, Any] = {}
        if keys:
            records["source"] = {**asdict(source), "texts": [text for text in keys.values() if text]}
        if read and (of, source.number) not in self._read:
            records["read"] = {"of": of, "number": source.number}
        self._texts |= keys.keys()
        self._read |= {(of, source.number)} if read else set()
        if records:
            self.write(**records)

    def note(self, of: int, note: Note) -> None:
        """Keep a note."""
        self.write(note={"of": of, **asdict(note)})

    def done(self, of: int, stopped: str) -> None:
        """Keep that a sub-question is done."""
        self.write(done={"of": of, "stopped": stopped})

    def part(self, prompt: str, text: str) -> None:
        """Keep a part of the report. prompt: what it was made from."""
        self.write(part={"digest": digest_of(prompt), "text": text})


def _keys(source: Source) -> list[tuple[int, bool, str]]:
    """What names each text of a source; of one without a text the source itself."""
    return [(source.number, source.read, digest_of(text)) for text in source.texts or ("",)]


def digest_of(text: str) -> str:
    """What names a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@contextlib.contextmanager
def opened(session: Session | None, question: str | None) -> Iterator[Journal]:
    """The journal of a research, which nobody else writes meanwhile.

    question: None continues what the session has. Raises ConfigurationError where there is nothing to continue, and for
    another question than the stored one, SessionError, and SessionBusyError while another process works on it.
    """
    if session is None:
        if question is None:
            raise ConfigurationError("research(None): pass a question, or the session of a research to continue")
        yield Journal(None, State(question))
        return
    with _held(session) as writer:
        state = state_of(session)
        if not state.question and question is None:
            raise ConfigurationError(f"there is no research in the session {session.id!r} that could be continued")
        if state.question and question not in (None, state.question):
            raise ConfigurationError(
                f"the session {session.id!r} has the research on another question ({state.question!r:.80}): use "
                "another session, or pass None to continue that one"
            )
        journal = Journal(writer, state)
        if not state.question:
            assert question is not None
            state.question = question
            journal.write(asked={"form": FORM, "question": question})
        yield journal


@contextlib.contextmanager
def _held(session: Session) -> Iterator[Writes]:
    with contextlib.ExitStack() as stack:
        try:
            writer = stack.enter_context(session.hold(wait=0.5))
        except SessionBusyError:
            raise SessionBusyError(f"another process works on the research {shown_id(session.id)!r}") from None
        yield writer


def state_of(session: Session) -> State:
    """What a session has of a research. Raises SessionError when it can't be read."""
    state = State()
    for number, entry in enumerate(session.entries(skip_damaged=True)):
        if entry.kind != "message":
            continue
        try:
            for kind, value in json.loads(entry.value["content"]).items():
                state.take(kind, value)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SessionError(f"entry {number} of {session.id!r} is none of a research: {error!r:.80}") from None
    return state


def keep_options(session: Session, options: Mapping[str, Any], question: str | None) -> None:
    """Keep the options of the command that begins a research on a question, or continues one (None). Raises
    SessionError."""
    asked = {} if question is None else {"asked": {"form": FORM, "question": question.strip()}}
    with _held(session) as writer:
        writer.append([{"role": "user", "content": json_text({**asked, "options": options})}])


def shown_id(session_id: str) -> str:
    """The id of a research as people write it."""
    return session_id.removeprefix(PREFIX)


def latest(sessions: Sessions) -> str | None:
    """The id of the research that was written last; None when a store has none."""
    found: Sequence[Any] = sessions.list(PREFIX)
    return shown_id(found[0].id) if found else None
