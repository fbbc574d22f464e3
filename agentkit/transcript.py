"""The transcript: an append-only list of messages that any chat server accepts.

Its one rule is the pairing rule of OpenAI's chat completions: an assistant message with tool calls is followed
by one tool message for each call, in the order of the calls, before any other message.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, cast, get_args, overload

from agentkit._text import json_bytes
from agentkit.errors import TranscriptError
from agentkit.message import AWAITS_REPLY, Message, Role, ToolCall, has_images, is_plain_text, without_images
from agentkit.text.special_tokens import neutral_message
from agentkit.tooling.read_only import ReadOnlyDict, read_only
from agentkit.tooling.sendable import sendable

ROLES: tuple[str, ...] = get_args(Role)


Form = Callable[[Message], Message]
"""Makes a message what a server takes: hashable, and the same message when nothing changes."""
Write = Callable[[Message], bytes]
"""Writes a message in another form than that of chat completions: hashable."""


class Due(Enum):
    """What is due next, when it is not to answer tool calls."""

    NOTHING = "nothing"
    REPLY = "reply"


def whats_due(messages: Sequence[Message]) -> Due | tuple[ToolCall, ...]:
    """What a run has to do next: answer the open tool calls (returned in order), get a reply, or nothing.

    A pure function of the messages, so that a pause, a crash and a caller who stops reading are one case: ask again.
    """
    if messages and messages[-1].get(AWAITS_REPLY):
        return Due.REPLY
    answered = 0
    for message in reversed(messages):
        if message["role"] == "tool":
            answered += 1
            continue
        if message["role"] in ("system", "developer"):
            continue
        calls = message.get("tool_calls") or []
        if len(calls) > answered:
            return tuple(calls[answered:])
        if message["role"] == "assistant":
            return Due.REPLY if calls else Due.NOTHING
        return Due.REPLY if message["role"] == "user" else Due.NOTHING
    return Due.NOTHING


class ReadOnlyMessage(ReadOnlyDict):
    """A message of a transcript as it is shown to those who may not change it; other transcripts take it as it is.
    message: of the transcript. encoded: its JSON bytes."""

    def __init__(self, message: Message, encoded: bytes) -> None:
        super().__init__({key: read_only(value) for key, value in message.items()})
        self.message = message
        self.encoded = encoded


class Transcript(Sequence[Message]):
    """A valid list of messages, and the JSON bytes of each, encoded once. Values that a server may refuse become text
    (see `agentkit.tooling.sendable`).

    Raises TranscriptError when a message breaks the pairing rule or has no known role.
    """

    def __init__(self, messages: Iterable[Mapping[str, Any]] = ()) -> None:
        self._messages: list[Message] = []
        self._encoded: list[bytes] = []
        self._ends: list[int] = []
        self._in_forms: dict[tuple[Form | None, bool, Write | None], list[bytes]] = {}
        self._with_images: list[int] = []
        self._open: list[str] = []
        self._is_whole = True
        self._held: list[Message] = []
        self._read_only: dict[int, ReadOnlyMessage] = {}
        self.extend(messages)

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        return self._messages[index]

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(self._messages)

    def __reversed__(self) -> Iterator[Message]:
        return self._messages.__reversed__()

    def __repr__(self) -> str:
        due = self.whats_due()
        return f"Transcript({len(self)} messages, due: {due.value if isinstance(due, Due) else f'{len(due)} calls'})"

    def extend(self, messages: Iterable[Mapping[str, Any]]) -> None:
        """Append messages. A user message is held back while calls are open, until the last of them is answered."""
        if not self._is_whole:
            self._mend()
        for message in messages:
            if not self._open and is_plain_text(message):  # nearly all of a history: nothing can be wrong with it
                self._keep({**message}, json_bytes(message), self._open)
            else:
                self._add(_checked(message, len(self._messages)))

    def take(self, other: "Transcript", index: int) -> None:
        """Append a message of another transcript, which is neither checked nor encoded again."""
        if not self._is_whole:
            self._mend()
        self._add(other._messages[index], other._encoded[index])

    def _add(self, message: Message, encoded: bytes | None = None) -> None:
        if self._open and message["role"] == "user":
            self._held.append(message)
            return
        self._append(message, encoded)
        while self._held and not self._open:
            self._append(self._held[0])
            del self._held[0]

    def _mend(self) -> None:
        """Ctrl-C came while a message was appended: what is told of the messages is that of those which are there."""
        length = len(self._messages)
        del self._ends[length:], self._encoded[length:]
        self._with_images = [index for index in self._with_images if index < length]
        due = self.whats_due()
        self._open = [call["id"] for call in due] if isinstance(due, tuple) else []
        self._is_whole = True

    @property
    def held(self) -> list[Message]:
        """The user messages that are held back."""
        return list(self._held)

    def whats_due(self) -> Due | tuple[ToolCall, ...]:
        """See `whats_due`."""
        return whats_due(self._messages)

    @property
    def has_images(self) -> bool:
        """Whether any message contains an image."""
        return bool(self._with_images)

    @property
    def with_images(self) -> Sequence[int]:
        """The indices of the messages that contain images."""
        return self._with_images

    def size(self, start: int = 0, end: int | None = None) -> int:
        """The size in bytes of the encoded messages from index `start` on, up to `end` (None: all)."""
        behind = len(self._ends) if end is None else end
        return (self._ends[behind - 1] if behind > 0 else 0) - (self._ends[start - 1] if start > 0 else 0)

    def each_encoded(self, start: int = 0) -> Iterator[bytes]:
        """Each message as JSON bytes, from index `start` on."""
        return iter(self._encoded[start:] if start else self._encoded)

    def encoded(
        self, *, images: bool = True, escaped: bool = False, form: Form | None = None, write: Write | None = None
    ) -> bytes:
        """The messages as the inside of a JSON array, each encoded once; the bytes of a transcript are a prefix of its
        later ones. images: False puts a sentence in place of each image. escaped: special tokens are broken in what the
        programmer did not write (text/special_tokens.py). form: makes each message what a server takes. write:
        writes it as one or more values, with commas between them; default as itself."""
        is_as_it_is = not escaped and form is None and write is None
        known = self._encoded if is_as_it_is else self._in_form(form, escaped, write)
        if images or not self._with_images:
            return b",".join(known)
        encoded = list(known)
        for index in self._with_images:
            encoded[index] = (write or json_bytes)(_formed(without_images(self._messages[index]), form, escaped))
        return b",".join(encoded)

    def _in_form(self, form: Form | None, escaped: bool, write: Write | None) -> list[bytes]:
        known = self._in_forms.setdefault((form, escaped, write), [])
        for index in range(len(known), len(self._messages)):
            message = self._messages[index]
            made = _formed(message, form, escaped)
            if write is not None:
                known.append(write(made))
            else:
                known.append(self._encoded[index] if made is message else json_bytes(made))
        return known

    def _append(self, message: Message, encoded: bytes | None = None) -> None:
        opened = self._open_behind(message)
        given: object = message
        if isinstance(given, ReadOnlyMessage):
            message, encoded = given.message, given.encoded
        try:
            encoded = json_bytes(message) if encoded is None else encoded
        except (TypeError, ValueError) as error:
            raise TranscriptError(f"messages[{len(self)}] can't be written as JSON: {error}") from None
        if type(message.get("content")) is list and has_images(message):
            self._is_whole = False
            self._with_images.append(len(self._messages))
        self._keep(message, encoded, opened)

    def _keep(self, message: Message, encoded: bytes, opened: list[str]) -> None:
        self._is_whole = False
        self._ends.append((self._ends[-1] if self._ends else 0) + len(encoded))
        self._encoded.append(encoded)
        self._messages.append(message)
        self._open = opened
        self._is_whole = True

    def _open_behind(self, message: Message) -> list[str]:
        """The ids of the calls that are open behind a message. Raises TranscriptError when it breaks the pairing."""
        role = message["role"]
        if role == "tool":
            return self._closed(message.get("tool_call_id", ""))
        if self._open:
            raise TranscriptError(
                f"messages[{len(self)}] has the role {role!r}, but the tool calls {', '.join(self._open)} "
                "are not answered yet: add one tool message for each before it"
            )
        is_calling = role == "assistant" and message.get("tool_calls")
        return _ids(message, len(self._messages)) if is_calling else []

    def _closed(self, call_id: str) -> list[str]:
        """Those that are open behind the answer to a call."""
        if not self._open:
            raise TranscriptError(
                f"messages[{len(self)}] answers the tool call {call_id!r}, which no preceding assistant message made"
            )
        if call_id != self._open[0]:
            raise TranscriptError(
                f"messages[{len(self)}] answers the tool call {call_id!r}, but the next one to be answered "
                f"is {self._open[0]!r}: tool messages must be in the order of the calls"
            )
        return self._open[1:]


class ReadOnlyTranscript(Transcript):
    """A transcript for those who may not change it: a change in place raises TypeError, since nothing comes of it."""

    def __init__(self, given: Transcript) -> None:
        self.__dict__ = dict(vars(given))

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        places = range(len(self))[index]
        return self._shown(places) if isinstance(places, int) else list(map(self._shown, places))

    def __iter__(self) -> Iterator[Message]:
        return map(self._shown, range(len(self)))

    def __reversed__(self) -> Iterator[Message]:
        return map(self._shown, reversed(range(len(self))))

    def extend(self, messages: Iterable[Mapping[str, Any]]) -> None:
        """Raises TypeError."""
        raise TypeError("a transcript can't be changed in place here: make another, Transcript([*transcript, message])")

    def _shown(self, place: int) -> Message:
        if place not in self._read_only:
            self._read_only[place] = ReadOnlyMessage(self._messages[place], self._encoded[place])
        return cast(Message, self._read_only[place])


def _formed(message: Message, form: Form | None, escaped: bool) -> Message:
    made = message if form is None else form(message)
    neutral: Any = neutral_message(made) if escaped else made
    return neutral  # type: ignore[no-any-return]


def _checked(message: Mapping[str, Any], index: int) -> Message:
    """The message as this transcript's own dict. Raises TranscriptError saying what is wrong with it."""
    if isinstance(message, ReadOnlyMessage):
        return cast(Message, message)
    if type(message) is not dict and not isinstance(message, Mapping):  # the second takes much longer
        raise TranscriptError(
            f"messages[{index}] is a {type(message).__name__}: a message is a dict with a role, such as "
            '{"role": "user", "content": "Hello"}, or response.choices[0].message'
        )
    if message.get("role") not in ROLES:
        raise TranscriptError(
            f"messages[{index}] has the role {message.get('role')!r}; valid are {', '.join(sorted(ROLES))}"
        )
    if type(message.get("content")) is not str:
        _check_content(message, index)
    try:
        made: Any = sendable(message)
        return made  # type: ignore[no-any-return]
    except ValueError as error:
        raise TranscriptError(f"messages[{index}] can't be written as JSON: {error}") from None


def _check_content(message: Mapping[str, Any], index: int) -> None:
    content = message.get("content")
    if not (content is None or isinstance(content, str | list)):
        raise TranscriptError(
            f"messages[{index}] has content of type {type(content).__name__}: it must be a str, a list of parts or None"
        )
    if content is None and message["role"] != "assistant":
        raise TranscriptError(f"messages[{index}] has the role {message['role']!r} and no content")
    if isinstance(content, list) and not all(isinstance(part, dict) and "type" in part for part in content):
        raise TranscriptError(f"messages[{index}] has a content part that is not a dict with a type")


def _ids(message: Message, index: int) -> list[str]:
    calls: Any = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise TranscriptError(f"messages[{index}] has tool_calls that are not a list")
    for position, call in enumerate(calls):
        if not is_call(call):
            raise TranscriptError(
                f"messages[{index}].tool_calls[{position}] is not a tool call: it needs an id (str) "
                "and a function with a name and arguments (str)"
            )
    ids = [call["id"] for call in calls]
    if len(set(ids)) < len(ids):
        raise TranscriptError(f"messages[{index}] has two tool calls with the same id")
    return ids


def calls_of(message: Message) -> list[ToolCall]:
    """The tool calls of a message that was not checked yet, without what is none."""
    return [call for call in message.get("tool_calls") or () if is_call(call)]


def is_call(call: object) -> bool:
    """Whether this is a tool call, with an id and a function that has a name and arguments."""
    if not isinstance(call, dict):
        return False
    function = call.get("function")
    return (
        isinstance(call.get("id"), str)
        and isinstance(function, dict)
        and isinstance(function.get("name"), str)
        and isinstance(function.get("arguments"), str)
    )
