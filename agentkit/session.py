"""Sessions: stored conversations, as an append-only log of entries, and the protocol of a session store.

An entry is one JSON object in format 1:

    {"v": 1, "at": "2026-11-21T08:40:00.123Z", "message": {"role": "user", "content": "..."}}
    {"v": 1, "at": "...", "message": {"role": "assistant", ...}, "usage": {"input_tokens": 12, ...}}
    {"v": 1, "at": "...", "started": {"id": "call_1", "name": "send_mail", "arguments": "{...}"}}
    {"v": 1, "at": "...", "request": {"id": "7", "state": "begun"}}  (the id of a client's request)
    {"v": 1, "at": "...", "undo": 2}                              (the last so many messages are undone)
    {"v": 1, "at": "...", "view": {...}}                          (what is sent of a history that is too long)

"started" is written before a call that is not read-only is run: if no result follows, it is not known whether the call
had its effect. Images are stored separately under their SHA-256; a message has `agentkit-blob:sha256-HEX;image/png` in
place of a data URL.
"""

import base64
import binascii
import hashlib
import json
import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from agentkit._closing import Closable
from agentkit._text import json_bytes
from agentkit.errors import SessionBusyError, SessionError
from agentkit.limits import Usage
from agentkit.message import Message, ToolCall
from agentkit.record import stored_usage

FORMAT = 1
"""The format in which entries are written; later formats are rejected when read."""

ID = re.compile(r"\w[\w.:@=+-]{0,127}")
BLOB = "agentkit-blob:sha256-"


@dataclass(frozen=True)
class SessionInfo:
    """The description of a session in a list. entries: their number. created, updated: UTC."""

    id: str
    entries: int
    created: datetime
    updated: datetime


@dataclass(frozen=True)
class Entry:
    """One entry of a session. kind: "message", "started", "undo", "view" or "request". value: the value under that key.
    at: ISO 8601, UTC. usage: what a reply took; `agentkit.record.usage_from` reads it."""

    kind: str
    value: Any
    at: str
    usage: Mapping[str, Any] | None = None


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

    def __getitem__(self, session_id: str) -> "Session":
        """A session, which is created at the first write. Raises SessionError for an invalid id."""
        return Session(self, checked_id(session_id))

    def __contains__(self, session_id: object) -> bool:
        """Whether something is stored under an id."""
        return isinstance(session_id, str) and bool(self._read(checked_id(session_id), 0, 1))

    def list(self) -> list[SessionInfo]:
        """All sessions, the most recently written first."""
        return sorted(self._list(), key=lambda info: info.updated, reverse=True)

    def delete(self, session_id: str, *, wait: float | None = None) -> None:
        """Delete a session and its images. wait: seconds to wait for a writer; None: the store's setting. Raises
        SessionError when the session does not exist, SessionBusyError when a writer holds it."""
        self._existing(session_id)
        with self._lock(session_id, self.wait if wait is None else wait):
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

    def fork(self, session_id: str, new_id: str, *, at: int | None = None) -> "Session":
        """Create a session with the first `at` messages of another (None: all). Raises SessionError when the other
        does not exist, the new id is taken or `at` is out of range."""
        source = self._existing(session_id)
        messages = source.messages
        if at is not None and not 0 <= at <= len(messages):
            raise SessionError(f"session {session_id!r} has {len(messages)} messages: at={at} is out of range")
        made = self[new_id]
        with made.hold() as writer:
            self._free(new_id)
            writer.append(messages if at is None else messages[:at])
        return made

    def _existing(self, session_id: str) -> "Session":
        if session_id not in self:
            raise SessionError(f"session {session_id!r} not found")
        return self[session_id]

    def _free(self, new_id: str) -> None:
        if new_id in self:
            raise SessionError(f"session {new_id!r} already exists: choose another id, or delete it")

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

    def entries(self, start: int = 0) -> list[Entry]:
        """The log from entry number `start`. Raises SessionError when it can't be read, or was written by a newer
        agentkit."""
        return [self._entry(text) for text in self._sessions._read(self.id, start)]

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
    def hold(self) -> "Iterator[Writer]":
        """Lock the session and yield its writer. Raises SessionBusyError when another does not finish in time."""
        with self._sessions._lock(self.id, self._sessions.wait) as lock:
            yield Writer(self, lock)

    def _entry(self, text: str) -> Entry:
        try:
            entry = json.loads(text)
        except ValueError:
            raise SessionError(f"session {self.id!r} has an entry that is not JSON: {text!r:.80}") from None
        version = entry.get("v") if isinstance(entry, dict) else None
        if not isinstance(version, int) or version > FORMAT:
            raise SessionError(
                f"session {self.id!r} was written in format {version}, but this agentkit reads up to {FORMAT}: "
                "install a newer version"
            )
        kind = next((name for name in ("message", "started", "undo", "view", "request") if name in entry), "")
        value = entry.get(kind)
        if kind == "message":
            value = _each_url(value, self._data_url)
        return Entry(kind, value, str(entry.get("at", "")), entry.get("usage"))

    def _data_url(self, url: str) -> str:
        if not url.startswith(BLOB):
            return url
        digest, _, media_type = url.removeprefix(BLOB).partition(";")
        data = self._sessions._blob(self.id, digest)
        if data is None:
            raise SessionError(f"session {self.id!r} lacks a stored image (sha256 {digest[:12]}…)")
        return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


class Writer:
    """The only writer of a session while it is locked."""

    def __init__(self, session: Session, lock: Any) -> None:
        self.session = session
        self._lock = lock

    def append(self, messages: Iterable[Mapping[str, Any]], usage: Usage | None = None) -> None:
        """Append messages, all or none. usage: what the first of them took. Raises SessionError."""
        blobs: dict[str, bytes] = {}
        made = [{"message": _each_url(message, lambda url: _reference(url, blobs))} for message in messages]
        if made and usage is not None:
            made[0]["usage"] = stored_usage(usage)
        self._write(made, blobs)

    def mark_started(self, call_id: str, name: str, arguments: str) -> None:
        """Record that a call that is not read-only is about to run. Raises SessionError."""
        self._write([{"started": {"id": call_id, "name": name, "arguments": arguments}}], {})

    def undo(self, messages: int) -> None:
        """Undo the last `messages` messages; they stay in the log. Raises SessionError."""
        self._write([{"undo": messages}], {})

    def note_request(self, request_id: str, state: str) -> None:
        """Record the state of a client's request: "begun" or "answered". Raises SessionError."""
        self._write([{"request": {"id": request_id, "state": state}}], {})

    def note_view(self, view: Mapping[str, Any]) -> None:
        """Record which part of this session is sent from now on. Raises SessionError."""
        self._write([{"view": view}], {})

    def _write(self, entries: list[dict[str, Any]], blobs: Mapping[str, bytes]) -> None:
        if not entries:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        try:
            texts = [json_bytes({"v": FORMAT, "at": now, **entry}).decode() for entry in entries]
        except (TypeError, ValueError) as error:
            raise SessionError(f"a message can't be written as JSON: {error}") from None
        self.session._sessions._append(self.session.id, texts, blobs, self._lock)


def _each_url(message: Any, change: Any) -> Any:
    """The message with `change` applied to the URL of each image."""
    content = message.get("content") if isinstance(message, Mapping) else None
    if not isinstance(content, list):
        return message
    return {**message, "content": [_with_url(part, change) for part in content]}


def _with_url(part: Any, change: Any) -> Any:
    image = part.get("image_url") if isinstance(part, Mapping) else None
    if not isinstance(image, Mapping) or not isinstance(image.get("url"), str):
        return part
    return {**part, "image_url": {**image, "url": change(image["url"])}}


def _reference(url: str, blobs: dict[str, bytes]) -> str:
    """Store the image of a data URL in `blobs` and return its reference; return any other URL unchanged."""
    head, comma, data = url.partition(",")
    if not (comma and head.startswith("data:") and head.endswith(";base64")):
        return url
    try:
        decoded = base64.b64decode(data, validate=True)
    except binascii.Error:
        return url
    digest = hashlib.sha256(decoded).hexdigest()
    blobs[digest] = decoded
    return f"{BLOB}{digest};{head.removeprefix('data:').removesuffix(';base64')}"


def messages_of(entries: Sequence[Entry]) -> tuple[list[Message], list[Message]]:
    """The messages of a log in the order in which they are sent: a user message (or an image of a tool) that arrived
    while calls were open comes after the last of their results. The second list has those that still wait for it."""
    ordered: list[Message] = []
    held: list[Message] = []
    waiting = 0
    for entry in entries:
        if entry.kind == "undo":
            everything = ordered + held
            ordered, held, waiting = everything[: max(0, len(everything) - entry.value)], [], 0
        if entry.kind != "message":
            continue
        message = cast(Message, entry.value)
        if waiting and message.get("role") == "user":
            held.append(message)
            continue
        if message.get("role") == "tool":
            waiting -= 1
        else:
            waiting = len(message.get("tool_calls") or ())
        ordered.append(message)
        if waiting <= 0:
            ordered += held
            held = []
    return ordered, held


def started_calls(entries: Sequence[Entry]) -> dict[str, ToolCall]:
    """The calls of the last reply that were started, by id, including those with a result."""
    found: dict[str, ToolCall] = {}
    for entry in entries:
        if entry.kind == "undo" or (entry.kind == "message" and entry.value.get("role") == "assistant"):
            found = {}  # servers reuse ids in later replies
        elif entry.kind == "started":
            value = entry.value
            function: Any = {"name": value["name"], "arguments": value["arguments"]}
            found[value["id"]] = {"id": value["id"], "type": "function", "function": function}
    return found


def busy(session_id: str, wait: float) -> SessionBusyError:
    """The error for a session whose writer did not finish in time."""
    return SessionBusyError(
        f"session {session_id!r} is locked by another writer (waited {wait:g} seconds): try again later, or increase "
        "the store's wait="
    )
