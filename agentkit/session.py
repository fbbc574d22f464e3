"""Sessions: stored conversations, as an append-only log of entries, and the protocol of a session store.

The entries of the log are described in agentkit/sessions/log.py.
"""

import contextlib
import functools
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from agentkit._closing import Closable
from agentkit._lazy.patterns import pattern
from agentkit._lazy.records import dataclass
from agentkit.errors import SessionBusyError, SessionError
from agentkit.evidence.history import restored
from agentkit.evidence.ledger import Ledger
from agentkit.evidence.source import Source
from agentkit.evidence.sources import Sources
from agentkit.message import Message
from agentkit.sessions.log import Entry, Marks, find_mark, messages_of, ordered, read_entries
from agentkit.sessions.own_turn import waits_for_itself
from agentkit.sessions.turn import Turn, is_after
from agentkit.sessions.waiting_line import WaitingLines

if TYPE_CHECKING:
    from agentkit.sessions.writer import Writer

ID = pattern(r"\w[\w.:@=+-]{0,127}")
INTERNAL = "_agentkit."
"""Begins the ids under which services store what is no conversation: names, system prompts."""
MAX_REQUEST_ID = 256
WAIT_INTERVAL = 0.1
"""Seconds between two checks whether to go on waiting for a lock."""


Log = Sequence[str] | None
"""The entries of a session, or None where they were not read."""


@dataclass(frozen=True)
class SessionInfo:
    """The description of a session in a list. entries: their number. created, updated: UTC."""

    id: str
    entries: int
    created: datetime
    updated: datetime


class Sessions(Closable):
    """A store of sessions, by id: `sessions["alice"]`. Shared by threads, with SQLite and Redis also by processes, with
    Redis also by machines.

    wait: seconds that a writer waits for another to finish, then SessionBusyError. An id is 1 to 128 letters, digits
    and "_.:@=+-", the first a letter, digit or "_".

    A store is a subclass with `close` and the methods `_append`, `_read`, `_blob`, `_list`, `_delete`, `_rename` and
    `_lock`: docs/sessions.md says what each has to hold. Without one of them, TypeError is raised.
    """

    def __init__(self, wait: float = 30.0) -> None:
        self.wait = wait
        self._waiting = WaitingLines()

    def __getitem__(self, session_id: str) -> "Session":
        """A session, which is created at the first write. Raises SessionError for an invalid id."""
        return Session(self, checked_id(session_id))

    def __contains__(self, session_id: object) -> bool:
        """Whether something is stored under an id."""
        return isinstance(session_id, str) and bool(self._read(checked_id(session_id), 0, 1))

    def list(self, prefix: str = "") -> list[SessionInfo]:
        """All sessions whose ids begin with `prefix`, the most recently written first. What the services store for
        themselves (`INTERNAL`) is listed only for a prefix of it."""
        if prefix and not ID.fullmatch(prefix):
            return []  # no id begins like this
        is_internal = prefix.startswith(INTERNAL)
        found = (info for info in self._list_prefix(prefix) if is_internal or not info.id.startswith(INTERNAL))
        return sorted(found, key=lambda info: info.updated, reverse=True)

    def delete(self, session_id: str, *, wait: float | None = None) -> None:
        """Delete a session and its images. wait: seconds to wait for a writer; None: the store's setting. Raises
        SessionError when the session does not exist, SessionBusyError when a writer holds it."""
        self._existing(session_id)
        with self._lock(session_id, self.wait if wait is None else wait):
            self._delete(session_id)

    def delete_unchanged(self, listed: SessionInfo) -> bool:
        """Delete a session as it was listed: one that was written to since stays, or that a writer holds. Returns
        whether it was deleted. Raises SessionError."""
        try:
            with self._lock(listed.id, 0.0):
                is_unchanged = listed in self.list(listed.id)
                if is_unchanged:
                    self._delete(listed.id)
                return is_unchanged
        except SessionBusyError:
            return False

    def delete_all(self, session_ids: Iterable[str], *, wait: float | None = None) -> None:
        """Delete sessions with their images, once no writer holds any of them; ids without a session are passed over.
        wait: seconds to wait for each writer; None: the store's setting. Raises SessionBusyError, with all of them
        still there, SessionError."""
        ids = sorted({checked_id(each) for each in session_ids})  # in one order, so that two callers don't block
        with contextlib.ExitStack() as locks:
            for session_id in ids:
                locks.enter_context(self._lock(session_id, self.wait if wait is None else wait))
            for session_id in ids:
                if session_id in self:
                    self._delete(session_id)

    def rename(self, session_id: str, new_id: str) -> None:
        """Give a session another id. Raises SessionError when it does not exist or the new id is taken,
        SessionBusyError when a writer holds it."""
        self._existing(session_id)
        first, second = sorted({checked_id(new_id), session_id}) if new_id != session_id else (new_id, None)
        if second is None:
            return
        with self._lock(first, self.wait), self._lock(second, self.wait):
            self._free(new_id)
            self._rename(session_id, new_id)

    def fork(self, session_id: str, new_id: str, *, at: int | None = None, skip_damaged: bool = False) -> "Session":
        """Create a session with the first `at` messages of another (None: all), with their times and what they took.
        skip_damaged: see `Session.entries`. Raises SessionError when the other does not exist or can't be read, the new
        id is taken or `at` is out of range."""
        entries = self._existing(session_id).entries(skip_damaged=skip_damaged)
        messages = [entry for part in ordered(entries) for entry in part]
        if at is not None and not 0 <= at <= len(messages):
            raise SessionError(f"session {session_id!r} has {len(messages)} messages: at={at} is out of range")
        made = self[new_id]
        with made.hold() as writer:
            self._free(new_id)
            writer.append_copies(entries, messages[:at], functools.partial(self._blob, session_id))
        return made

    def _existing(self, session_id: str) -> "Session":
        if session_id not in self:
            raise SessionError(f"session {session_id!r} not found")
        return self[session_id]

    def _free(self, new_id: str) -> None:
        if new_id in self:
            raise SessionError(f"session {new_id!r} already exists: choose another id, or delete it")

    # Methods that a store may replace, to find what it needs without reading everything.

    def _append_marked(
        self, session_id: str, entries: Sequence[str], blobs: Mapping[str, bytes], lock: Any, marks: Marks
    ) -> None:
        """The same as `_append`, and in the same transaction the changes of the session's marks."""
        self._append(session_id, entries, blobs, lock)

    def _mark(self, session_id: str, name: str) -> int | None:
        """The number of the entry that has a mark; None when there is none. By default the log is searched."""
        return find_mark(self[session_id].entries(), name)

    def _marks(self, session_id: str, names: Sequence[str]) -> Sequence[int | None]:
        """The same for several marks, at one moment where the store can do that."""
        return [self._mark(session_id, name) for name in names]

    def _marks_and_log(self, session_id: str, names: Sequence[str]) -> tuple[Sequence[int | None], Log]:
        """What a turn reads first: the same, and the entries where the first of the marks is none, if the store finds
        both at once; else None, and they are read by `_read`."""
        return self._marks(session_id, names), None

    def _replace(self, session_id: str, entries: Sequence[str], lock: Any) -> bool:
        """Put entries in the place of all that a session has, its images and marks too, in one step as `_append`.
        Returns False, with nothing changed, where the store can't."""
        return False

    def _list_prefix(self, prefix: str) -> Iterable[SessionInfo]:
        """The sessions whose ids begin with `prefix`, in any order."""
        return [info for info in self._list() if info.id.startswith(prefix)]

    # The methods of a store. Ids are valid, any thread may call, and writers hold the lock of the session. A failure of
    # what the sessions are stored in is raised as SessionError, with the reason.

    @abstractmethod
    def _append(self, session_id: str, entries: Sequence[str], blobs: Mapping[str, bytes], lock: Any) -> None:
        """Append entries and images, all or none, also when the process is killed; they are kept when it returns.

        The first append creates the session. entries: JSON texts without line breaks, at least one. blobs: images by
        their SHA-256, some of which may be stored already. lock: what `_lock` yielded.
        """

    @abstractmethod
    def _read(self, session_id: str, start: int, count: int | None = None) -> Sequence[str]:
        """The entries from number `start` in order, at most `count`; none for a session that does not exist. Readers
        hold no lock: of an append that goes on at that moment they get all entries or none."""

    @abstractmethod
    def _blob(self, session_id: str, digest: str) -> bytes | None:
        """An image of a session, by its SHA-256; None when it is not stored."""

    @abstractmethod
    def _list(self) -> Iterable[SessionInfo]:
        """All sessions, in any order."""

    @abstractmethod
    def _delete(self, session_id: str) -> None:
        """Delete a session and its images; the caller holds its lock."""

    @abstractmethod
    def _rename(self, session_id: str, new_id: str) -> None:
        """Give a session and its images an id that no session has; the caller holds the locks of both ids."""

    @abstractmethod
    def _lock(self, session_id: str, wait: float) -> AbstractContextManager[Any]:
        """Lock a session, which need not exist, for one writer of all that share the store.

        Yields what `_append` gets as `lock`. Not reentrant; released when the block ends, and when the writer's process
        is killed. Raises SessionBusyError (`busy`) when another holds it for more than `wait` seconds; 0 does not wait.
        """


def checked_id(session_id: object) -> str:
    """Return a valid id. Raises SessionError for an invalid one."""
    if not isinstance(session_id, str) or not ID.fullmatch(session_id):
        raise SessionError(
            f"{session_id!r:.80} is not a valid session id: it is 1 to 128 letters, digits and '_.:@=+-', "
            "the first a letter, digit or '_'"
        )
    return session_id


class Session:
    """One conversation of a store. Nothing is cached: each access reads the store."""

    def __init__(self, sessions: Sessions, session_id: str) -> None:
        self._sessions = sessions
        self.id = session_id

    def __repr__(self) -> str:
        return f"<Session {self.id!r} of {type(self._sessions).__name__}>"

    @property
    def messages(self) -> list[Message]:
        """The messages, with images as data URLs. Raises SessionError when they can't be read."""
        ordered, held = messages_of(self.entries())
        return ordered + held

    @property
    def sources(self) -> Mapping[int, Source]:
        """What its runs have found or read, by the numbers that answers cite; a text is read when a source is asked
        for. Raises SessionError."""
        from agentkit.sessions.writer import Writer

        reader = Writer(self._sessions, self.id, None)
        kept = [each for records in reader.sources() for each in restored(records)]
        return Sources(Ledger(load=reader.text, earlier=lambda: kept)).as_mapping()

    def entries(
        self, start: int = 0, *, count: int | None = None, skip_damaged: bool = False, images: bool = True
    ) -> list[Entry]:
        """The log from entry number `start`, at most `count` entries (None: all). skip_damaged: leave out entries of a
        wrong shape, instead of raising the error that names the first. images: False leaves their data URLs empty, and
        reads none. Raises SessionError when it can't be read, or was written by a newer agentkit."""
        blob = functools.partial(self._sessions._blob, self.id) if images else _no_image
        start = max(0, start)
        if count is not None and count < 1:
            return []
        return read_entries(
            self._sessions._read(self.id, start, count), start, self.id, blob, skip_damaged=skip_damaged
        )

    @property
    def is_held(self) -> bool:
        """Whether a writer holds the session at this moment."""
        try:
            with self._sessions._lock(self.id, 0.0):
                return False
        except SessionBusyError:
            return True

    def append(self, messages: Iterable[Mapping[str, Any]]) -> None:
        """Append messages. Raises SessionBusyError when another writer does not finish in time, SessionError when they
        can't be written."""
        with self.hold() as writer:
            writer.append(messages)

    @contextmanager
    def hold(self, wait: float | None = None, gives_up: Callable[[], bool] | None = None) -> "Iterator[Writer]":
        """Lock the session and yield its writer.

        wait: seconds to wait for another writer; None: the store's setting. gives_up: called about ten times a second
        while it waits; True ends the waiting. The threads of a process that wait for a session get it in the order in
        which they came. Raises SessionBusyError when another writer does not finish in time.
        """
        from agentkit.sessions.writer import Writer

        with contextlib.ExitStack() as stack:
            lock = self._locked(stack, self._sessions.wait if wait is None else wait, gives_up)
            yield Writer(self._sessions, self.id, lock)

    @contextmanager
    def turn(
        self,
        request_id: str | None = None,
        *,
        content: object = None,
        is_retry: bool = True,
        decides: bool = False,
        wait: float | None = None,
        gives_up: Callable[[], bool] | None = None,
    ) -> Iterator[Turn]:
        """Lock the session for one turn, which `agent.run(session=turn)` takes.

        request_id: the client's id of the request (idempotency key): where the request with this id was answered
        already, the turn has its answer; where it was begun, it goes on from there. content: what the client sent (JSON
        values). is_retry: False for an id that means nothing beyond this turn: what it was used for before is not
        looked at. decides: whether the request is a decision on calls that wait, and no message. wait, gives_up: see
        `hold`. Raises RequestConflictError when the id was used before with another content, SessionBusyError,
        SessionError.
        """
        if request_id is not None and not _is_request_id(request_id):
            raise SessionError(f"request_id={request_id!r:.80}: it must be a text of 1 to {MAX_REQUEST_ID} characters")
        with self.hold(wait, gives_up) as writer:
            yield Turn(writer, request_id or "", content, is_retry, decides)

    def note_delivered(self, request_id: str) -> None:
        """Record that the client has received the answer to its request. Raises SessionError."""
        with self.hold() as writer:
            writer.note_request(request_id, "delivered")

    def is_delivered(self, request_id: str) -> bool:
        """Whether the client has received the answer to its request. Reads no messages. Raises SessionError."""
        delivered, begun = self._sessions._marks(self.id, (f"delivered:{request_id}", f"request:{request_id}"))
        return is_after(delivered, begun)

    def is_begun(self, request_id: str) -> bool:
        """Whether a turn with this request id was ever begun. Reads no messages. Raises SessionError."""
        return self._sessions._mark(self.id, f"request:{request_id}") is not None

    def _locked(self, stack: contextlib.ExitStack, wait: float, gives_up: Callable[[], bool] | None) -> Any:
        """Lock the session until the stack is closed. Returns what the store yields."""
        if not self._sessions._waiting.has_some(self.id):
            with contextlib.suppress(SessionBusyError):
                return stack.enter_context(self._sessions._lock(self.id, 0.0))
        if wait <= 0:
            raise busy(self.id, wait)
        if waits_for_itself(self._sessions, self.id):
            raise SessionBusyError(
                f"session {self.id!r} is that of the run which waits for this tool: nobody can write to it before the "
                "tool has returned. What a tool returns is stored there; another agent needs a session of its own"
            )
        with self._sessions._waiting.place(self.id) as is_first:
            return self._waited_for(stack, is_first, wait, gives_up)

    def _waited_for(
        self, stack: contextlib.ExitStack, is_first: threading.Event, wait: float, gives_up: Callable[[], bool] | None
    ) -> Any:
        """Lock the session as soon as those before have had it, asking again and again whether to give up."""
        end = time.monotonic() + wait
        while True:
            left = min(max(0.0, end - time.monotonic()), WAIT_INTERVAL)
            with contextlib.suppress(SessionBusyError):
                if is_first.wait(left):
                    return stack.enter_context(self._sessions._lock(self.id, left))
            if time.monotonic() >= end:
                raise busy(self.id, wait)
            if gives_up is not None and gives_up():
                raise SessionBusyError(
                    f"session {self.id!r} is locked by another writer, and the run that waited for it was cancelled or "
                    "its time was up"
                )


def _is_request_id(given: object) -> bool:
    """Whether it can be kept by every store: half a surrogate pair can't."""
    if not isinstance(given, str) or not 0 < len(given) <= MAX_REQUEST_ID:
        return False
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_image(digest: str) -> bytes:
    return b""


def busy(session_id: str, wait: float) -> SessionBusyError:
    """The error for a session whose writer did not finish in time."""
    return SessionBusyError(
        f"session {session_id!r} is locked by another writer (waited {wait:g} seconds): try again later, or increase "
        "the store's wait="
    )
