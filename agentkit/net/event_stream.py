"""Reads the JSON objects of a streamed reply, in whatever form a server sends them.

Server-sent events as the standard has them: CR, LF and CRLF, a byte order mark, comments, data in several lines, and
events without data (`retry:`, `id:`, `event: ping`), which are skipped. And what servers and gateways make of it:
events without the blank line between them, several objects in one event, a comment or a second `data:` inside data,
`event: error` with plain text, a field `error:` in the place of one, one JSON object a line without `data:`, and a
whole JSON body instead of a stream.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from agentkit._lazy.patterns import pattern
from agentkit._text import cut
from agentkit.net.error_body import error_in

MAX_EVENT_BYTES = 64_000_000
"""Maximum size of one event, or of a body that is no event stream."""

EXCERPT_BYTES = 300
MAX_ID_BYTES = 1000
"""An event whose id is longer has none."""

_DECODER = json.JSONDecoder(strict=False)
_SPACE = pattern(r"(?:\s|\x00|data:(?!\s*\[DONE))*", re.IGNORECASE)
_DONE = pattern(r"""(?:data:)?\s*["']?\[DONE\]""", re.IGNORECASE)
_END = pattern(r"""["']?\[?(?:done|end|eos|eof)\]?["']?""", re.IGNORECASE)
_KEEP_ALIVE = pattern(r"\W*(?:ping|pong|heart-?beat|keep[ _-]?alive|processing)\W*", re.IGNORECASE)
_PLAIN_EVENTS = ("", "message", "data", "chunk", "completion", "delta")
"""The names of events whose data is a part of the reply; data of others that is not JSON is a control frame."""
_END_EVENTS = ("done", "end", "close", "complete", "completed", "finish")
_ERROR_EVENTS = ("error", "exception", "failed", "failure")


class BrokenEventError(ValueError):
    """An event is not JSON: something between the model and here has broken it."""


class EventTooLongError(ValueError):
    """An event is longer than MAX_EVENT_BYTES."""


class EventReader:
    """Reads one response.

    limit: maximum size of an event in bytes. named: names of events whose data is a text; it is yielded as {name:
    text}. is_done: whether `[DONE]` has arrived, or another mark of the end. has_fields: whether the response has
    fields of server-sent events. count: number of objects read. excerpt: the beginning of the response. last_id: of the
    events so far, the last `id:`; that of an event of which the rest is missing does not count. retry: the last
    `retry:`, in seconds.
    """

    def __init__(self, limit: int = MAX_EVENT_BYTES, named: Collection[str] = ()) -> None:
        self.is_done = False
        self.has_fields = False
        self.count = 0
        self.last_id = b""
        self._id: bytes | None = None
        self.retry: float | None = None
        self._limit = limit
        self._named = frozenset(named)
        self._beginning = b""
        self._line = bytearray()
        self._after_return = False
        self._event = ""
        self._reports = False
        self._data: list[bytes] = []
        self._is_bare = False
        self._size = 0

    @property
    def is_whole(self) -> bool:
        """Whether the response is one JSON object, and no stream."""
        return self.count == 1 and not self.has_fields

    @property
    def excerpt(self) -> str:
        """The beginning of the response as text."""
        return self._beginning[:EXCERPT_BYTES].decode("utf-8", "replace")

    def read(self, chunks: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        """Yield the objects of a response as they arrive, up to `[DONE]` or its end; an event that is named "error" is
        an object with the key "error". Raises BrokenEventError and EventTooLongError."""
        for chunk in chunks:
            only = self._only(chunk)
            if only is not None:
                yield only
                continue
            yield from self._in_lines(chunk)
            if self.is_done:
                return
        if self._line:
            yield from self._take(bytes(self._line))
        if not self.is_done:
            yield from self._ended()

    def _in_lines(self, chunk: bytes) -> Iterator[dict[str, Any]]:
        for line in self._lines(chunk):
            usual = self._usual(line) if line else None
            if usual is not None:
                yield usual
            elif line or self._is_within or self._id is not None:
                yield from self._take(line)
                if self.is_done:
                    return

    def _only(self, chunk: bytes) -> dict[str, Any] | None:
        """The object in a chunk that is one usual event, and nothing else, as most servers send them."""
        is_one = chunk.endswith(b"}\n\n") and chunk.find(b"\n") == len(chunk) - 2 and b"\r" not in chunk
        if not is_one or self._line or self._after_return or len(self._beginning) < EXCERPT_BYTES:
            return None
        return self._usual(chunk[:-2])

    def _usual(self, line: bytes) -> dict[str, Any] | None:
        """The object in a line that is an event as nearly all are: data of one JSON object."""
        if not line.startswith(b"data: {") or self._is_within or not line.endswith(b"}") or len(line) > self._limit:
            return None
        text = line[6:].decode("utf-8", "replace")
        try:
            found, end = _DECODER.raw_decode(text)
        except (ValueError, RecursionError):
            return None
        if end != len(text):
            return None
        self.has_fields = True
        self.count += 1
        self._commit()
        return found  # type: ignore[no-any-return]  # it begins with a brace

    @property
    def _is_within(self) -> bool:
        """Whether an event has begun."""
        return bool(self._data or self._event or self._reports or self._is_bare)

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the lines that a chunk completes; one that ends in CR does not wait for an LF."""
        if len(self._beginning) < EXCERPT_BYTES:
            self._beginning += chunk[:EXCERPT_BYTES]
        if self._after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_return = False
        if not chunk:
            return
        self._after_return = chunk.endswith(b"\r")
        for piece in chunk.splitlines(keepends=True):
            line = piece.rstrip(b"\r\n")
            if len(line) < len(piece):
                if self._line:
                    line = bytes(self._line + line)
                    self._line.clear()
                yield line
            else:
                self._line += line
                self._check(len(self._line))

    def _take(self, line: bytes) -> Iterator[dict[str, Any]]:
        line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            if not self._is_bare:
                yield from self._ended()
                self._commit()
            return
        if line.startswith(b":"):
            return
        name, _, value = line.partition(b":")
        field = name.strip().lower()
        if field == b"data":
            self.has_fields = True
            yield from self._take_data(value.strip())
        elif field == b"event":
            self.has_fields = True
            self._event = value.decode("utf-8", "replace").strip().lower()
            self._reports = self._event in _ERROR_EVENTS
        elif field == b"error" and (
            self.has_fields or value.lstrip().startswith((b"{", b"["))
        ):  # llama.cpp until late 2025
            self.has_fields = self._reports = True
            yield from self._take_data(value.strip())
        elif field in (b"id", b"retry"):
            self.has_fields = True
            self._note(field, value.strip())
        else:  # no event stream, or JSON in several lines of which only the first has a field's name
            yield from self._take_bare(line.strip())

    def _note(self, field: bytes, value: bytes) -> None:
        if field == b"retry":
            if value.isdigit() and len(value) < 10:
                self.retry = int(value) / 1000
        elif len(value) <= MAX_ID_BYTES and b"\0" not in value:
            self._id = value

    def _commit(self) -> None:
        """Have the id count: the event has arrived."""
        if self._id is not None:
            self.last_id, self._id = self._id, None

    def _take_bare(self, line: bytes) -> Iterator[dict[str, Any]]:
        if not self._data and not line.startswith((b"{", b"[")):
            return
        is_first = not self._data
        yield from self._take_data(line)
        self._is_bare = bool(self._data) and (is_first or self._is_bare) and not self.has_fields

    def _take_data(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Take in a line of data. One that is an object of its own is yielded at once: some servers leave out the blank
        line behind it, or send it only with the next event."""
        if data.startswith(b":"):  # a comment inside data
            return
        if self._data and _DONE.match(data[:20].decode("utf-8", "replace")):
            yield from self._ended()
        is_object = not self._data and (data.startswith(b"{") and data.endswith(b"}"))
        is_mark = not self._data and not self._reports and len(data) < 20
        self._size += len(data)
        self._check(self._size)
        if is_object or is_mark:
            try:
                objects = list(self._objects(data.decode("utf-8", "replace")))
            except BrokenEventError:
                objects = []
            if objects or self.is_done:
                self._size = 0
                self._commit()
                yield from objects
                return
        if data:
            self._data.append(data)

    def _ended(self) -> Iterator[dict[str, Any]]:
        """Yield what is left of an event at its end."""
        text = b"\n".join(self._data).decode("utf-8", "replace")
        self._data.clear()
        self._size = 0
        self._is_bare = False
        if text or self._reports:
            yield from self._objects(text)
        if self._event in _END_EVENTS:
            self.is_done = True
        self._event, self._reports = "", False

    def _objects(self, text: str) -> Iterator[dict[str, Any]]:
        """Yield the objects in the data of an event."""
        event, reports = self._event, self._reports
        if event in self._named:
            self.count += 1
            yield {event: text}
            return
        if not reports and len(text) < 20 and _END.fullmatch(text.strip()):
            self.is_done = True
            return
        try:
            values = list(self._values(text))
        except (ValueError, RecursionError):
            if not reports:
                is_control = event not in _PLAIN_EVENTS and not text.startswith("{")
                if is_control or _KEEP_ALIVE.fullmatch(text[:100]):
                    return
                raise BrokenEventError(f"the server sent an event that is not JSON: {cut(text, 200)!r}") from None
            values = [text]
        if reports:
            values = [_as_error(value) for value in values or ["the server sent an error event without a message"]]
            self._reports = False
        for value in values:
            for each in value if isinstance(value, list) else (value,):
                if isinstance(each, dict):
                    self.count += 1
                    yield each

    def _values(self, text: str) -> Iterator[Any]:
        """Yield the JSON values of a text, one behind the other; `[DONE]` ends them. Raises ValueError and
        RecursionError."""
        position = 0
        while True:
            space = _SPACE.match(text, position)
            position = space.end() if space else position
            if position == len(text):
                return
            if _DONE.match(text, position):
                self.is_done = True
                return
            value, position = _DECODER.raw_decode(text, position)
            yield value

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise EventTooLongError(f"the server sent an event of more than {self._limit:,} bytes")


def _as_error(value: Any) -> dict[str, Any]:
    """The data of an event that is named "error", as an object that `error_in` finds an error in."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, dict) and error_in(value) else {"error": value}
