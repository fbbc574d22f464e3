"""Lines of bytes from pieces of any size, each of a bounded size."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_LINE = 64 << 20
"""The most bytes of a line."""
KEPT = 1_000
"""How many bytes of the beginning and of the end of a longer line are kept."""

_FIRST_ID = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*"?(\d{1,18})"?\s*,')
_LAST_ID = re.compile(rb',\s*"id"\s*:\s*"?(\d{1,18})"?\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*\Z')


@dataclass(frozen=True)
class TooLong:
    """A line that was longer than it may be: its beginning and its end."""

    head: bytes
    tail: bytes

    @property
    def id(self) -> int | None:
        """The id of the message, where it stands at one of the ends."""
        found = _FIRST_ID.match(self.head) or _LAST_ID.search(self.tail)
        return None if found is None else int(found.group(1))


class Lines:
    """Puts lines together."""

    def __init__(self) -> None:
        self._max_size = MAX_LINE
        self._parts: list[bytes] = []
        self._size = 0
        self._head: bytes | None = None  # of a line that is too long

    def feed(self, data: bytes) -> Iterator["bytes | TooLong"]:
        """Add a piece; yields the lines that it completes."""
        *ended, rest = data.split(b"\n")
        for piece in ended:
            self._add(piece)
            yield self._taken()
        self._add(rest)

    def _add(self, piece: bytes) -> None:
        if not piece:
            return
        self._parts.append(piece)
        self._size += len(piece)
        if self._head is None and self._size <= self._max_size:
            return
        whole = b"".join(self._parts)
        if self._head is None:
            self._head = whole[:KEPT]
        self._parts = [whole[-KEPT:]]

    def _taken(self) -> "bytes | TooLong":
        line = b"".join(self._parts)
        head, self._head, self._parts, self._size = self._head, None, [], 0
        return line if head is None else TooLong(head, line)
