"""A request as one of several models is sent it: its schema as text where the server takes none or does not show it, no
fields of another provider, no sampling that it does not know.

What a request has stands at the same place in each of a run, so that the bytes of one are a prefix of the next.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast
from weakref import WeakKeyDictionary

from agentkit._forking import freed_by_forks
from agentkit._text import json_bytes
from agentkit.backend import Capabilities, Request, newest_question, told_schema, with_text
from agentkit.message import PROVIDER_FIELDS, Message
from agentkit.transcript import Transcript

MAX_FIELDS = 50_000
"""Fields of replies whose maker is remembered, by digests of 16 bytes."""

_OF_PROVIDER = frozenset({*PROVIDER_FIELDS, "audio"})
"""Keys of assistant messages that are one provider's own: reasoning, signatures, encrypted content, ids."""
_OF_CALL = frozenset({"id", "type", "index", "function"})
_THOUGHTS = frozenset({"thinking", "redacted_thinking", "reasoning"})
_OF_PART = frozenset({"type", "text", "image_url", "refusal", "cache_control"})


class Origins:
    """Which model wrote the fields of its provider in the replies of this process; shared by threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, str] = OrderedDict()
        self._lock = freed_by_forks(threading.Lock())

    def note(self, message: Message, model: str) -> None:
        """A model has written a message."""
        found = [_digest(field) for field in _fields_of(message)]
        if not found:
            return
        with self._lock:
            for digest in found:
                self._known[digest] = model
            while len(self._known) > MAX_FIELDS:
                self._known.popitem(last=False)

    def has_written(self, model: str, field: Any) -> bool:
        """Whether a field is known to be a model's own."""
        return self._known.get(_digest(field)) == model


def _fields_of(message: Message) -> Iterator[Any]:
    """The fields of a provider in a message, each with its name."""
    for name in sorted(message.keys() & _OF_PROVIDER):
        yield name, message.get(name)
    content = message.get("content")
    for part in content if isinstance(content, list) else ():
        if _is_thought(part) or part.keys() - _OF_PART:
            yield "part", part
    for call in message.get("tool_calls") or ():
        for name in sorted(call.keys() - _OF_CALL):
            yield name, call.get(name)


def _is_thought(part: Mapping[str, Any]) -> bool:
    return part.get("type") in _THOUGHTS


def _digest(field: Any) -> bytes:
    return hashlib.blake2b(json_bytes(field), digest_size=16).digest()


@dataclass(frozen=True)
class _Sent:
    """A transcript as it is sent. text: added to the message `question`. covered: how many messages of the original it
    has. transcript: None as long as it is the same."""

    text: str
    question: int | None
    transcript: Transcript | None
    covered: int


class AsSent:
    """Makes requests what one model is sent; shared by its runs. model: its name. origins: None where all models are
    one, so that no field is another's. known_elsewhere: the sampling fields that some model of the agent takes; None:
    any."""

    def __init__(self, model: str, origins: Origins | None, known_elsewhere: Collection[str] | None) -> None:
        self._model = model
        self._origins = origins
        self._known_elsewhere = known_elsewhere
        self._conversations: WeakKeyDictionary[Transcript, _Sent] = WeakKeyDictionary()
        self._lock = freed_by_forks(threading.Lock())

    def request(self, request: Request, known: Capabilities) -> Request:
        """The request for this model. known: what is known of it."""
        text = ""
        if request.response_format is not None:
            takes = known.takes_schema(bool(request.tools))
            text = "" if takes and known.tells_schema else told_schema(request.response_format)
            request = request if takes else replace(request, response_format=None)
        sampling = self._sampling(request.sampling, known)
        sent = self._transcript(request.transcript, text) if text or self._origins is not None else request.transcript
        if sent is request.transcript and sampling is request.sampling:
            return request
        return replace(request, transcript=sent, conversation=request.said, sampling=sampling)

    def note(self, message: Message) -> None:
        """This model has written a message."""
        if self._origins is not None:
            self._origins.note(message, self._model)

    def _sampling(self, given: Mapping[str, Any], known: Capabilities) -> Mapping[str, Any]:
        """The fields that the model takes, and those that none does, for which it says so."""
        if known.sampling is None:
            return given
        left_out = [
            name
            for name in given
            if name not in known.sampling and (self._known_elsewhere is None or name in self._known_elsewhere)
        ]
        return {name: value for name, value in given.items() if name not in left_out} if left_out else given

    def _transcript(self, given: Transcript, text: str) -> Transcript:
        question = newest_question(given) if text else None
        with self._lock:
            sent = self._conversations.get(given)
        if sent is None or (sent.text, sent.question) != (text, question):
            sent = _Sent(text, question, None, 0)
        new = [self._message(given[index], index, sent) for index in range(sent.covered, len(given))]
        made = sent.transcript
        if made is not None:
            made.extend(new)
        elif any(each is not given[sent.covered + index] for index, each in enumerate(new)):
            made = Transcript([*given[: sent.covered], *new])
        with self._lock:
            self._conversations[given] = replace(sent, transcript=made, covered=len(given))
        return given if made is None else made

    def _message(self, message: Message, index: int, sent: _Sent) -> Message:
        if index == sent.question:
            return with_text(message, sent.text)
        if message["role"] != "assistant" or self._origins is None:
            return message
        foreign = [field for field in _fields_of(message) if not self._origins.has_written(self._model, field)]
        return without(message, foreign) if foreign else message


def without(message: Message, foreign: list[Any]) -> Message:
    """A message without fields of a provider; valid where nothing else remains of it."""
    made: dict[str, Any] = {key: value for key, value in message.items() if (key, value) not in foreign}
    content = message.get("content")
    if isinstance(content, list):
        parts = [_part(part) if ("part", part) in foreign else part for part in content]
        made["content"] = [part for part in parts if part] or (None if message.get("tool_calls") else "")
    if message.get("tool_calls"):
        made["tool_calls"] = [
            {key: value for key, value in call.items() if key in _OF_CALL or (key, value) not in foreign}
            for call in message["tool_calls"]
        ]
    return cast(Message, made)


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    return {} if _is_thought(part) else {key: value for key, value in part.items() if key in _OF_PART}
