"""The log of a session: its entries as JSON, and what follows from them.

An entry is one JSON object in format 1, or 2 for a view with "from":

    {"v": 1, "at": "2026-11-21T08:40:00.123Z", "message": {"role": "user", "content": "..."}}
    {"v": 1, "at": "...", "message": {"role": "assistant", ...}, "usage": {"input_tokens": 12, ...}}
    {"v": 1, "at": "...", "started": {"id": "call_1", "name": "send_mail", "arguments": "{...}"}}
    {"v": 1, "at": "...", "request": {"id": "7", "state": "begun", "digest": "..."}}  (a client's request is begun)
    {"v": 1, "at": "...", "request": {"id": "7", "state": "waiting", ...}}  (calls wait for a person; "decided": the
                                                  decision of a client is carried out; agentkit/sessions/waiting.py)
    {"v": 1, "at": "...", "request": {"id": "7", "state": "stopped"}, "stopped": "cancelled", "reasoning": "..."}
                                                 (its run was stopped before a reply; the id is "" where it has none)
    {"v": 1, "at": "...", "undo": 2, "dropped_from": 17}  (the last so many messages are undone, and all marks from that
                                                           entry on)
    {"v": 2, "at": "...", "view": {"from": {"entry": 9, "message": 7}, "left_out": [8], "stubs": [10], "note": "..."}}
                           (what is sent of a history that is too long: from entry 9 on, which has the message number 7)

Further keys of a message's entry: "by": "run", a user message that the run wrote itself (images of a tool, what is
wrong with an answer); "ends": true, the result of a tool that ended the run; "unknown": true, the result says that the
effect of the call is not known; "stopped": why the reply was stopped in the middle; "finish_reason": the server's, of
a reply that it cut off; "copied": true, of a session that this one is a fork of; "sources": what a tool has found or
read (agentkit/evidence/history.py), whose texts are stored as images are, under their SHA-256.

"started" is written before a call that is not read-only is run: if no result follows, it is not known whether the call
had its effect. With "waits": true the call has asked a person something ("text", "schema", "problem": the Question),
before it had any effect; its "arguments" are those with which it was approved. Images are stored separately under their
SHA-256; a message has `agentkit-blob:sha256-HEX;image/png` in place of a data URL.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from agentkit._lazy.patterns import pattern
from agentkit._lazy.records import dataclass, field
from agentkit._text import json_bytes
from agentkit.backend import is_broken_off
from agentkit.errors import SessionError
from agentkit.event import OpenCall, Reply, ToolFinished
from agentkit.evidence.history import stored
from agentkit.limits import Usage
from agentkit.message import STOP_NOTES, Message, ToolCall, stop_reason
from agentkit.record import stored_usage
from agentkit.running.open_questions import QUESTION, asked_in, still_open, with_question
from agentkit.sessions.damage import damage_of, damage_of_message
from agentkit.sessions.waiting import BEGINS
from agentkit.tooling.sendable import sendable

FORMAT = 2
"""The latest format of an entry; later ones are rejected when read. Only what older versions of agentkit would read
wrongly is written in it."""

KINDS = ("message", "started", "undo", "view", "request")
BLOB = "agentkit-blob:sha256-"
STOPPED = "stopped"
"""The state of a request whose run was stopped before a reply."""
_DIGEST = pattern("[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """One entry of a session. kind: "message", "started", "undo", "view" or "request". value: the value under that key.
    at: ISO 8601, UTC. usage: what a reply took; `agentkit.record.usage_from` reads it. extra: the entry's
    other keys."""

    kind: str
    value: Any
    at: str
    usage: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


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
    import hashlib

    digest = hashlib.sha256(decoded).hexdigest()
    blobs[digest] = decoded
    return f"{BLOB}{digest};{head.removeprefix('data:').removesuffix(';base64')}"


@dataclass(frozen=True)
class Marks:
    """Changes of a session's marks, which name entries so that they are found without reading the log: "view" the last
    view, "sources" the last result with sources, "request:ID" what a client's request begins with.

    places: names, and the index of the entry of each among the entries of this append; a name's earlier mark is
    replaced. dropped_from: first, the marks of all entries from this number on are removed; None: none is.
    """

    places: Mapping[str, int] = field(default_factory=dict)
    dropped_from: int | None = None


def find_mark(entries: Sequence[Entry], name: str) -> int | None:
    """The number of the entry that a mark names, from the whole log."""
    found: dict[str, int] = {}
    for number, entry in enumerate(entries):
        if entry.kind == "undo":
            dropped_from = entry.extra.get("dropped_from", number)
            has_sources = {"sources": number} if "sources" in found else {}
            found = {mark: place for mark, place in found.items() if place < dropped_from} | has_sources
        elif entry.kind == "view":
            found["view"] = number
        elif entry.kind == "message" and entry.extra.get("sources"):
            found["sources"] = number
        elif entry.kind == "request":
            state = "request" if entry.value.get("state") in BEGINS else entry.value.get("state")
            found[f"{state}:{entry.value.get('id')}"] = number
    return found.get(name)


def ordered(entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """The entries of the messages of a log that are not undone, in the order in which they are sent: a user message (or
    an image of a tool) that arrived while calls were open comes after the last of their results, or where another reply
    came instead before that. The second list has those that still wait for it."""
    sent: list[Entry] = []
    held: list[Entry] = []
    waiting = 0
    for entry in entries:
        if entry.kind == "undo":
            everything = sent + held
            sent, held, waiting = everything[: max(0, len(everything) - entry.value)], [], 0
        if entry.kind != "message":
            continue
        message = entry.value
        if waiting and message.get("role") == "user":
            held.append(entry)
            continue
        if message.get("role") == "tool":
            waiting = max(0, waiting - 1)
        else:
            waiting = len(message.get("tool_calls") or ())
            sent += held
            held = []
        sent.append(entry)
        if waiting <= 0:
            sent += held
            held = []
    return sent, held


def messages_of(entries: Sequence[Entry]) -> tuple[list[Message], list[Message]]:
    """The messages of a log, ordered as by `ordered`; what an open call has asked stands in its reply."""
    sent, held = ordered(entries)
    messages = [cast(Message, entry.value) for entry in sent]
    asked = still_open(_asked(entries, sent), messages)
    return with_question(messages, asked), [cast(Message, entry.value) for entry in held]


def _asked(entries: Sequence[Entry], sent: Sequence[Entry]) -> OpenCall | None:
    """The call of the last reply that has asked a person something, and was not begun again since. sent: the entries
    of the messages."""
    reply = last_reply(sent)
    if reply is None:
        return None
    begun = begun_after(entries, reply)
    if not begun:
        return asked_in(reply.value, reply.value.get(QUESTION))  # of a reply that was appended as a message
    return asked_in(reply.value, begun[-1]) if begun[-1].get("waits") else None


def last_reply(sent: Sequence[Entry]) -> Entry | None:
    """The entry of the last reply among those of messages; None where there is none."""
    return next((entry for entry in reversed(sent) if entry.value.get("role") == "assistant"), None)


def begun_after(entries: Sequence[Entry], reply: Entry) -> list[Mapping[str, Any]]:
    """What the log says of the calls of a reply that were started, as the values of its entries "started"; what was
    undone does not count."""
    found: list[int] = []
    later_replies: list[int] = []
    is_behind = False
    for number, entry in enumerate(entries):
        if entry.kind == "undo":
            left = entry.extra.get("dropped_from", number)
            found, later_replies = ([each for each in part if each < left] for part in (found, later_replies))
        elif entry is reply:
            is_behind = True
        elif is_behind and entry.kind == "message" and entry.value.get("role") == "assistant":
            later_replies.append(number)
        elif is_behind and entry.kind == "started" and not later_replies:
            found.append(number)
    return [entries[number].value for number in found]


def begins_turn(entry: Entry) -> bool:
    """Whether a question begins with this entry: the session's user wrote it, or a client's request is begun."""
    if entry.kind == "request":
        return bool(entry.value.get("state") == "begun")
    return entry.kind == "message" and entry.value.get("role") == "user" and "by" not in entry.extra


def stops(entries: Sequence[Entry]) -> dict[int, Entry]:
    """The entries that say that a run was stopped before a reply, by `id` of the entry of the message behind which it
    was."""
    there: list[Entry] = []
    found: dict[int, Entry] = {}
    for entry in entries:
        if entry.kind == "undo":
            del there[max(0, len(there) - entry.value) :]
        elif entry.kind == "message":
            there.append(entry)
        elif entry.kind == "request" and entry.value.get("state") == STOPPED and there:
            found[id(there[-1])] = entry
    return found


def begin_of_last(entries: Sequence[Entry], messages: int) -> int:
    """The number of the entry with which the last `messages` messages begin, together with the request that they belong
    to."""
    sent, held = ordered(entries)
    numbers = {id(entry): number for number, entry in enumerate(entries)}
    first = min((numbers[id(entry)] for entry in [*sent, *held][-messages:]), default=len(entries))
    has_request = first > 0 and entries[first - 1].kind == "request" and begins_turn(entries[first - 1])
    return first - 1 if has_request else first


def started_calls(entries: Sequence[Entry]) -> dict[str, ToolCall]:
    """The calls of the last reply that were started, by id, including those with a result."""
    if not any(entry.kind == "started" for entry in entries):
        return {}
    reply = last_reply(ordered(entries)[0])
    found: dict[str, ToolCall] = {}
    for value in () if reply is None else begun_after(entries, reply):
        if value.get("waits"):
            found.pop(value["id"], None)
            continue
        function: Any = {"name": value["name"], "arguments": value["arguments"]}
        found[value["id"]] = {"id": value["id"], "type": "function", "function": function}
    return found


class DamagedEntryError(SessionError):
    """An entry has a wrong shape; the others can be read."""

    def __init__(self, session_id: str, number: int, what: str) -> None:
        super().__init__(
            f"entry {number} of session {session_id!r} is damaged: {what}. The others can be read: "
            f"entries(skip_damaged=True), or `agentkit sessions export {session_id} --skip-damaged`; "
            "sessions.fork(..., skip_damaged=True) makes a session of them, to continue"
        )


_DECODE = json.JSONDecoder().raw_decode
_OF_ALL = ("v", "at", "usage")


def _plain_entry(text: str) -> Entry | None:
    """The entry of a message that is a text, as nearly all are, or of a request; None for what needs a closer look."""
    try:
        entry, end = _DECODE(text)
    except (ValueError, TypeError, RecursionError):  # TypeError: bytes, which a store may return
        return None
    if end != len(text) or type(entry) is not dict or type(version := entry.get("v")) is not int:
        return None
    kind = "message" if "message" in entry else "request"
    value, usage = entry.get(kind), entry.get("usage")
    if not 1 <= version <= FORMAT or type(value) is not dict or not (usage is None or type(usage) is dict):
        return None
    if kind == "message":
        is_plain = len(value) == 2 and type(value.get("content")) is str and value.get("role") in ("user", "assistant")
    else:
        is_plain = type(value.get("id")) is str and type(value.get("state")) is str
    if not is_plain or (kind == "request" and not entry.keys().isdisjoint(KINDS[:-1])):
        return None
    extra = {name: each for name, each in entry.items() if name not in (kind, *_OF_ALL)}
    return Entry(kind, value, str(entry.get("at", "")), usage, extra)


def read_entry(text: str, number: int, session_id: str, blob: Callable[[str], bytes | None]) -> Entry:
    """Read an entry, with images as data URLs. number: its place in the log. blob: returns a stored image by its
    SHA-256. Raises DamagedEntryError for one of a wrong shape, SessionError when it was written by a newer agentkit."""
    return _plain_entry(text) or _checked_entry(text, number, session_id, blob)


def _checked_entry(text: str, number: int, session_id: str, blob: Callable[[str], bytes | None]) -> Entry:
    """See `read_entry`."""
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedEntryError(session_id, number, f"it can't be read as JSON ({error}): {text!r:.80}") from None
    if not isinstance(entry, dict):
        raise DamagedEntryError(session_id, number, f"it is not a JSON object: {text!r:.80}")
    version = entry.get("v")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DamagedEntryError(session_id, number, f"its format (v) is {version!r:.40}")
    if version > FORMAT:
        raise SessionError(
            f"session {session_id!r} was written in format {version}, but this agentkit reads up to {FORMAT}: "
            "install a newer version"
        )
    kind = next((name for name in KINDS if name in entry), "")
    damage = damage_of(kind, entry, number)
    if damage is not None:
        raise DamagedEntryError(session_id, number, damage)
    value = entry[kind]
    if kind == "message":
        value = _each_url(value, lambda url: _data_url(url, number, session_id, blob))
    extra = {name: each for name, each in entry.items() if name not in (kind, *_OF_ALL)}
    return Entry(kind, value, str(entry.get("at", "")), entry.get("usage"), extra)


def read_entries(
    texts: Sequence[str],
    start: int,
    session_id: str,
    blob: Callable[[str], bytes | None],
    *,
    skip_damaged: bool = False,
) -> list[Entry]:
    """Read the entries from number `start` on. skip_damaged: leave out those of a wrong shape. Otherwise as
    `read_entry`."""
    found = []
    for number, text in enumerate(texts, start):
        try:
            found.append(read_entry(text, number, session_id, blob))
        except DamagedEntryError:
            if not skip_damaged:
                raise
    return found


def write_entries(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """The texts of new entries. Raises SessionError for what JSON can't represent."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    try:
        return [json_bytes({"v": _format_of(entry), "at": now, **entry}).decode() for entry in entries]
    except (TypeError, ValueError) as error:
        raise SessionError(f"a message can't be written as JSON: {error}") from None


def _format_of(entry: Mapping[str, Any]) -> int:
    return FORMAT if "from" in entry.get("view", ()) else 1


def message_entries(
    messages: Iterable[Mapping[str, Any]], usage: Usage | None = None
) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """The entries of messages, and their images by SHA-256. usage: what the first of them took. Raises SessionError for
    what JSON can't represent or could not be read again."""
    blobs: dict[str, bytes] = {}
    made = []
    for message in messages:
        if not isinstance(message, Mapping):
            raise SessionError(f"a message can't be stored: it is a {type(message).__name__}, not a dict with a role")
        try:
            made.append({"message": _each_url(sendable(message), lambda url: _reference(url, blobs))})
        except ValueError as error:
            raise SessionError(f"a message can't be written as JSON: {error}") from None
        damage = damage_of_message(made[-1]["message"])
        if damage is not None:
            raise SessionError(f"a message can't be stored: {damage.replace('its message', 'it')}")
    if made and usage is not None:
        made[0]["usage"] = stored_usage(usage)
    return made, blobs


def of_reply(reply: Reply) -> dict[str, Any]:
    """What the entry of a reply says of it: which model wrote it, and how it ended when that was not done."""
    reason, made = reply.finish_reason, {"model": reply.model} if reply.model else {}
    if reason in STOP_NOTES and stop_reason(reply.message) == reason:
        return {**made, "stopped": reason}
    return {**made, "finish_reason": reason} if is_broken_off(reason) else made


def of_result(event: ToolFinished) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What the entry of a result says of it, and the texts of its sources."""
    sources, texts = stored(event.record.sources)
    made: dict[str, Any] = {"ends": True} if event.ends_run else {}
    if seconds := round(event.record.seconds, 3):
        made["seconds"] = seconds
    return {**made, "sources": sources} if sources else made, texts


def _data_url(url: str, number: int, session_id: str, blob: Callable[[str], bytes | None]) -> str:
    if not url.startswith(BLOB):
        return url
    digest, _, media_type = url.removeprefix(BLOB).partition(";")
    data = blob(digest) if _DIGEST.fullmatch(digest) else None
    if data is None:
        raise DamagedEntryError(session_id, number, f"session {session_id!r} lacks its image (sha256 {digest:.12}…)")
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
