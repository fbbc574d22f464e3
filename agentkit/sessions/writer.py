"""The writer of a session while it is locked."""

import functools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from agentkit.evidence.history import restored
from agentkit.history.given import storable_messages
from agentkit.limits import Usage
from agentkit.message import Message
from agentkit.running.held_messages import without_held
from agentkit.running.open_questions import written
from agentkit.sessions.log import (
    STOPPED,
    Entry,
    Marks,
    begin_of_last,
    begun_after,
    last_reply,
    message_entries,
    messages_of,
    read_entries,
    write_entries,
)
from agentkit.sessions.views import settled, shortened
from agentkit.sessions.waiting import Waiting


class LogStore(Protocol):
    """What a writer needs of a session store; see `agentkit.session.Sessions`."""

    def _append_marked(
        self, session_id: str, entries: Sequence[str], blobs: Mapping[str, bytes], lock: Any, marks: Marks
    ) -> None: ...

    def _replace(self, session_id: str, entries: Sequence[str], lock: Any) -> bool: ...

    def _read(self, session_id: str, start: int, count: int | None = None) -> Sequence[str]: ...

    def _blob(self, session_id: str, digest: str) -> bytes | None: ...

    def _marks(self, session_id: str, names: Sequence[str]) -> Sequence[int | None]: ...

    def _marks_and_log(
        self, session_id: str, names: Sequence[str]
    ) -> tuple[Sequence[int | None], Sequence[str] | None]: ...


class Writer:
    """The only writer of a session while it is locked. id: the session's. store: where it is. All of its methods raise
    SessionError."""

    def __init__(self, store: LogStore, session_id: str, lock: Any) -> None:
        self.id = session_id
        self.store: object = store
        self._store = store
        self._lock = lock

    def entries(self, start: int = 0, count: int | None = None) -> list[Entry]:
        """The log from entry number `start`, at most `count` entries."""
        return self._checked(self._store._read(self.id, start, count), start)

    def _checked(self, texts: Sequence[str], start: int = 0) -> list[Entry]:
        return read_entries(texts, start, self.id, functools.partial(self._store._blob, self.id))

    def marks_and_entries(self, *names: str) -> tuple[Sequence[int | None], list[Entry] | None]:
        """The entries that have these marks, and the log if the first of them is none and the store finds both at
        once; else None."""
        marks, texts = self._store._marks_and_log(self.id, names)
        return marks, None if texts is None or marks[0] is not None else self._checked(texts)

    def view(self) -> tuple[int, Mapping[str, Any]] | None:
        """The number of the last view's entry, and the view; None without one."""
        return self.view_at(self.mark("view"))

    def view_at(self, place: int | None) -> tuple[int, Mapping[str, Any]] | None:
        """The same, where the mark of the last view is known to be at `place`."""
        found = [] if place is None else self.entries(place, 1)
        return (place, found[0].value) if place is not None and found else None

    def sources(self) -> Iterator[Any]:
        """What the entries of the session have of sources; see `agentkit.evidence.history.restored`."""
        last = self.mark("sources")
        for text in () if last is None else self._store._read(self.id, 0, last + 1):
            if '"sources"' in text:
                with suppress(ValueError, AttributeError, RecursionError):
                    yield json.loads(text).get("sources")

    def text(self, digest: str) -> str | None:
        """A text that is stored, by its SHA-256; None when it is not."""
        data = self._store._blob(self.id, digest)
        return None if data is None else data.decode("utf-8", "replace")

    def mark(self, name: str) -> int | None:
        """The number of the entry that has a mark; see `agentkit.sessions.log.Marks`."""
        return self.marks(name)[0]

    def marks(self, *names: str) -> Sequence[int | None]:
        """The same for several marks."""
        return self._store._marks(self.id, names)

    def append(self, messages: Iterable[Mapping[str, Any]], usage: Usage | None = None) -> None:
        """Append messages, all or none; those of other programs in OpenAI's form. usage: what the first of them
        took."""
        self.write(*message_entries(without_held(storable_messages(messages)), usage))

    def replace(self, messages: Iterable[Mapping[str, Any]]) -> bool:
        """Put messages, at least one, in the place of all entries, in one step. Returns False, with nothing changed,
        where the store can't."""
        entries, _ = message_entries(messages)
        written = os.urandom(4).hex()  # whoever has read the log so far sees that this is another one
        texts = write_entries([{**each, "written": written} for each in entries])
        return self._store._replace(self.id, texts, self._lock)

    def append_copies(
        self, entries: Sequence[Entry], copied: Sequence[Entry], text: Callable[[str], bytes | None]
    ) -> None:
        """Append messages of another session, and which calls of the last reply were started there. entries: its log.
        copied: those of the messages; a copy has their times, their usage and what else is known of them. text: returns
        a text of a source, by its SHA-256."""
        made, blobs = _copies(copied)
        for entry, original in zip(made, copied, strict=True):
            entry["copied"] = True
            digests = [digest for kept in restored(original.extra.get("sources")) for digest in kept.texts]
            blobs |= {digest: found for digest in digests if (found := text(digest)) is not None}
        last = max((place for place, entry in enumerate(made) if entry.get("sources")), default=None)
        reply = last_reply(copied)
        begun = [] if reply is None else begun_after(entries, reply)
        made += [{"started": dict(each)} for each in begun]
        self.write(made, blobs, Marks({} if last is None else {"sources": last}))

    def mark_started(self, call_id: str, name: str, arguments: str) -> None:
        """Record that a call that is not read-only is about to run."""
        self.write([{"started": {"id": call_id, "name": name, "arguments": arguments}}])

    def mark_waiting(self, request_id: str, waiting: Waiting) -> None:
        """Record that calls wait for a person; those that have asked something, begun or not, did nothing before.
        request_id: of the client's request, "" for none."""
        asking = [call for call in waiting.calls if call.question is not None]
        asked = [{"started": {**written(call), "name": call.name, "waits": True}} for call in asking]
        self.write([*asked, waiting.entry(request_id)])

    def undo(self, messages: int) -> list[Message]:
        """Undo the last `messages` messages, with the requests that they belong to; they stay in the log. Returns
        them."""
        entries = self.entries()
        sent, held = messages_of(entries)
        undone = [*sent, *held][-messages:] if messages > 0 else []
        if undone:
            left = [*sent, *held][: -len(undone)]
            self.write_undo(len(undone), begin_of_last(entries, len(undone)), settled(left))
        return undone

    def write_undo(self, messages: int, dropped_from: int, left: int, restored: Entry | None = None) -> None:
        """The same. dropped_from: the number of the entry from which on the marks are removed. left: how many of the
        messages that are left have no open calls (`agentkit.sessions.views.settled`). A view that was made later, and
        begins before, is kept as far as it is of these. restored: the entry of a message that was undone before, and is
        appended again."""
        entries: list[dict[str, Any]] = [{"undo": messages, "dropped_from": dropped_from}]
        places = {}
        place, view = self.view() or (0, {})
        if place >= dropped_from > view.get("from", {}).get("entry", dropped_from):
            entries.append({"view": shortened(view, left)})
            places = {"view": 1}
        if self.mark("sources") is not None:
            places["sources"] = 0  # their numbers stay taken, also of those that are undone
        again, blobs = _copies([restored] if restored is not None else [])
        self.write([*entries, *again], blobs, Marks(places, dropped_from))

    def note_request(self, request_id: str, state: str) -> None:
        """Record the state of a client's request: "delivered"."""
        self.write([{"request": {"id": request_id, "state": state}}], marks=Marks({f"{state}:{request_id}": 0}))

    def note_stopped(self, request_id: str, reason: str, reasoning: str) -> None:
        """Record that a run was stopped before a reply. request_id: of the client's request, "" for none. reason:
        "cancelled" or "seconds". reasoning: what had come of the model's."""
        more = {"reasoning": reasoning} if reasoning else {}
        self.write([{"request": {"id": request_id, "state": STOPPED}, "stopped": reason, **more}])

    def note_view(self, view: Mapping[str, Any]) -> None:
        """Record which part of this session is sent from now on."""
        self.write([{"view": view}], marks=Marks({"view": 0}))

    def write(
        self,
        entries: Sequence[Mapping[str, Any]],
        blobs: Mapping[str, bytes] | None = None,
        marks: Marks | None = None,
    ) -> None:
        """Append entries and images, all or none, and change marks with them."""
        if entries:
            self._store._append_marked(self.id, write_entries(entries), blobs or {}, self._lock, marks or Marks())


def _copies(originals: Sequence[Entry]) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """The entries of messages once more, with their times, their usage and what else is known of them; and their
    images."""
    made, blobs = message_entries([entry.value for entry in originals])
    for entry, original in zip(made, originals, strict=True):
        entry |= {"at": original.at} if original.at else {}
        entry |= {"usage": original.usage} if original.usage else {}
        entry |= original.extra
    return made, blobs
