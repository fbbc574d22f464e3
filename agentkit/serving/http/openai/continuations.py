"""What happened on the server before a call of a client's tool, kept until the client sends the call's result.

The client knows of an answer only its text and the calls of its own tools. What the client does not get of it (calls of
the service's tools with their results, the reasoning that some servers want back) is kept here by the ids of those
calls, and put into the history again when the client sends them. Without it the client's history is used as it is.
"""

import hashlib
import logging
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any, cast

from agentkit.errors import SessionError
from agentkit.message import Message, ToolCall
from agentkit.serving.http.openai.pruning import Pruning
from agentkit.session import INTERNAL, Sessions
from agentkit.tooling.arguments import read_arguments

logger = logging.getLogger("agentkit.http")

MAX_AGE = 86_400.0
"""Seconds for which an answer is kept."""
MAX_KEPT = 1000
"""How many answers are kept."""
MAX_CHARACTERS = 4_000_000
"""The size of an answer that is kept, in characters."""
MAX_RESTORED = 256
"""How many answers of one history are looked up, the last of it."""

_PREFIX = f"{INTERNAL}answer."
_ID = re.compile(r"call_([0-9a-f]{24})([0-9]{2})")
_PLAIN = {"role", "content", "tool_calls"}
_PLAIN_CALL = {"id", "type", "function"}


class Continuations:
    """The answers that wait for results of clients' tools. Thread-safe; all processes of a session store share them."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._pruning = Pruning(sessions, _PREFIX)

    def keep(
        self,
        subject: str,
        messages: Sequence[Message],
        call_ids: Sequence[str],
        earlier: Iterable[Mapping[str, Any]] = (),
    ) -> list[ToolCall]:
        """Return the calls that the client is sent; what it does not get of the answer is kept.

        messages: those of the answer, the last assistant message with the calls. call_ids: ids of the client's calls.
        earlier: the messages before the answer. Clients find calls by their ids, which some models number anew in each
        reply: one that a call had before is another for the client.
        """
        last = next(message for message in reversed(messages) if message.get("tool_calls"))
        calls = [call for call in last["tool_calls"] if call["id"] in call_ids]
        had = {call.get("id") for message in earlier for call in message.get("tool_calls") or ()}
        if len(calls) > 99 or not (_has_more(messages, last, calls) or any(call["id"] in had for call in calls)):
            return [_plain(call) for call in calls]
        token = secrets.token_hex(12)
        if not self._store(_key(subject, token), messages):
            return [_plain(call) for call in calls]
        return [{**_plain(call), "id": f"call_{token}{place:02}"} for place, call in enumerate(calls)]

    def restored(self, subject: str, messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The messages of a client, with what was kept of each answer in the place of its assistant message. Calls that
        the client has left out are left out; where it has made several messages of an answer, the first one counts."""
        made: list[Mapping[str, Any]] = []
        renamed: dict[str, str] = {}
        called = ((place, message) for place, message in enumerate(messages) if message.get("tool_calls"))
        with_token = [place for place, message in called if _token_of(message) is not None]
        if not with_token:
            return [*messages]
        looked_up = set(with_token[-MAX_RESTORED:])
        earlier: Mapping[str, Any] = {}
        for place, message in enumerate(messages):
            is_first = place in looked_up and not _goes_on(earlier, message)
            kept = self._kept_of(subject, message) if is_first else []
            earlier = message if message.get("tool_calls") else earlier
            if kept:
                made += _with_calls_of(message, kept)
                renamed |= _ids(message, kept)
            elif message.get("role") == "tool" and message.get("tool_call_id") in renamed:
                made.append({**message, "tool_call_id": renamed[message["tool_call_id"]]})
            else:
                made.append(message)
        return made

    def _kept_of(self, subject: str, message: Mapping[str, Any]) -> list[Message]:
        token = _token_of(message)
        if token is None:
            return []
        try:
            kept = self._sessions[_key(subject, token)].messages
        except SessionError as error:
            logger.warning("an answer that was kept can't be read: %s", error)
            return []
        return kept if kept and _is_of(message, kept) else []

    def _store(self, key: str, messages: Sequence[Message]) -> bool:
        """Keep messages; returns whether they are kept."""
        if sum(len(str(message)) for message in messages) > MAX_CHARACTERS:
            logger.warning("an answer is too large to be kept until the client's tools have answered")
            return False
        try:
            self._pruning.note_addition(MAX_AGE, MAX_KEPT)
            self._sessions[key].append(messages)
        except SessionError as error:
            logger.warning("an answer can't be kept until the client's tools have answered: %s", error)
            return False
        return True


def _key(subject: str, token: str) -> str:
    return _PREFIX + hashlib.sha256(f"{token}\n{subject}".encode("utf-8", "replace")).hexdigest()[:40]


def _has_more(messages: Sequence[Message], last: Message, calls: Sequence[ToolCall]) -> bool:
    """Whether an answer has more than the client is sent of it."""
    if len(messages) > 1 or len(calls) < len(last["tool_calls"]) or not last.keys() <= _PLAIN:
        return True
    return isinstance(last.get("content"), list) or any(not call.keys() <= _PLAIN_CALL for call in calls)


def _plain(call: ToolCall) -> ToolCall:
    return {"id": call["id"], "type": "function", "function": call["function"]}


def _calls_of(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    calls = message.get("tool_calls")
    found = calls if message.get("role") == "assistant" and isinstance(calls, list) else []
    return found if all(isinstance(call, dict) and isinstance(call.get("function"), dict) for call in found) else []


def _token_of(message: Mapping[str, Any]) -> str | None:
    """The token that the ids of all calls of a message have in them; None for other ids."""
    found = [_ID.fullmatch(str(call.get("id"))) for call in _calls_of(message)]
    parts = {each.groups() for each in found if each is not None}
    tokens = {token for token, _ in parts}
    return tokens.pop() if len(tokens) == 1 and len(parts) == len(found) else None


def _goes_on(earlier: Mapping[str, Any], message: Mapping[str, Any]) -> bool:
    """Whether a message has other calls of the same answer than an earlier one."""
    before, ids = _calls_of(earlier), {call["id"] for call in _calls_of(message)}
    return _token_of(earlier) == _token_of(message) and ids.isdisjoint(call["id"] for call in before)


def _is_of(message: Mapping[str, Any], kept: Sequence[Message]) -> bool:
    """Whether a client's assistant message has calls that the client was sent of an answer, as they were."""
    ids, known = _ids(message, kept), {call["id"]: call["function"] for call in _last_calls(kept)}
    sent = ((ids.get(str(call["id"])), call["function"]) for call in _calls_of(message))
    return all(call_id is not None and _same(function, known[call_id]) for call_id, function in sent)


def _with_calls_of(message: Mapping[str, Any], kept: Sequence[Message]) -> list[Message]:
    """What was kept of an answer, without the calls that the client has left out of its message."""
    had = set(_ids(message, kept).values())
    left_out = {call["id"] for call in _open_calls(kept)} - had
    if not left_out:
        return list(kept)
    last = max(place for place, each in enumerate(kept) if each.get("tool_calls"))
    calls = [call for call in kept[last]["tool_calls"] if call["id"] not in left_out]
    return [*kept[:last], {**kept[last], "tool_calls": calls}, *kept[last + 1 :]]


def _same(sent: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    written = sent.get("arguments")
    same_arguments = written == known["arguments"] or (
        isinstance(written, str) and read_arguments(written) == read_arguments(known["arguments"])
    )
    return sent.get("name") == known["name"] and same_arguments


def _ids(message: Mapping[str, Any], kept: Sequence[Message]) -> dict[str, str]:
    """The original ids of the calls in a client's message: each ends in its place among those that were sent."""
    open_calls = _open_calls(kept)
    places = {str(call["id"]): int(str(call["id"])[-2:]) for call in _calls_of(message)}
    return {given: open_calls[place]["id"] for given, place in places.items() if place < len(open_calls)}


def _open_calls(kept: Sequence[Message]) -> list[ToolCall]:
    """The calls that a client was sent: the last of an answer's, those that have no result behind them. Many servers
    number the calls of each reply from 0 on, so that earlier results have the same ids."""
    behind = takewhile(lambda each: not each.get("tool_calls"), reversed(kept))
    answered = {each.get("tool_call_id") for each in behind if each["role"] == "tool"}
    return [call for call in _last_calls(kept) if call["id"] not in answered]


def _last_calls(kept: Sequence[Message]) -> list[ToolCall]:
    last = next((each for each in reversed(kept) if each.get("tool_calls")), None)
    return cast(list[ToolCall], last["tool_calls"]) if last else []
