"""Ids of items: the one in a line, else a digest of what the line says and the how-manieth such line it is.

So an item keeps its id when other lines are added, removed or moved, its keys are reordered or white space is changed;
and lines that are equal are as many items.
"""

import hashlib
import re
from array import array
from collections.abc import Mapping

from agentkit._text import canonical_json, cut, utf8
from agentkit.batch.text_lines import LineError

MADE, BAD = "q-", "bad-"
"""How ids begin that are made from a digest: those of questions, and of lines that can't be asked."""
MAX_ID = 1000
"""Maximum length of an id, in characters."""
_FULL = 0.75
_MADE_ID = re.compile(r"q-[0-9a-f]{16}")


class Counts:
    """How often each digest was counted: 12 MB for a million. expected: about how many there will be."""

    def __init__(self, expected: int = 0) -> None:
        self._size = max(1024, int(expected / _FULL) + 1)
        self._used = 0
        self._keys = array("Q", bytes(8 * self._size))
        self._counts = bytearray(self._size)
        self._many: dict[int, int] = {}

    def __len__(self) -> int:
        return self._used

    def add(self, digest: int) -> int:
        """Count a digest of 64 bits. Returns how often it was counted by now."""
        place = self._place(digest)
        known = self._counts[place]
        if known == 255:
            self._many[place] = self._many.get(place, 255) + 1
            return self._many[place]
        self._counts[place] = known + 1
        if not known:
            self._keys[place] = digest
            self._used += 1
            if self._used > self._size * _FULL:
                self._grow()
        return known + 1

    def is_repeated(self, digest: int) -> bool:
        """Whether it was counted more than once."""
        return self._counts[self._place(digest)] > 1

    def _place(self, digest: int) -> int:
        keys, counts, size = self._keys, self._counts, self._size
        place = digest % size
        while counts[place] and keys[place] != digest:
            place += 1
            if place == size:
                place = 0
        return place

    def _grow(self) -> None:
        keys, counts, many = self._keys, self._counts, self._many
        self._size = self._size * 8 // 5
        self._keys = array("Q", bytes(8 * self._size))
        self._counts = bytearray(self._size)
        self._many = {}
        for place, count in enumerate(counts):
            if count:
                new = self._place(keys[place])
                self._keys[new] = keys[place]
                self._counts[new] = count
                if place in many:
                    self._many[new] = many[place]


def digest_of(content: bytes) -> int:
    """A digest of 64 bits."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


def value_digest(value: object) -> int:
    """The digest of a value of JSON, whatever the order of its keys. Raises LineError for what JSON can't represent."""
    try:
        return digest_of(canonical_json(value).encode())
    except (TypeError, ValueError) as error:
        raise LineError(f"can't be written as JSON: {cut(str(error), 200)}") from None
    except RecursionError:
        raise LineError("is nested too deeply") from None


def row_digest(row: Mapping[str, object]) -> int:
    """The digest of a row of a table, the same for a CSV and a parquet file: of its cells as text, but not
    of empty ones."""
    return value_digest({name: text for name, cell in row.items() if (text := _cell_text(cell))})


def _cell_text(cell: object) -> str:
    if isinstance(cell, str):
        return cell
    if cell is None:
        return ""
    return canonical_json(cell) if isinstance(cell, list | dict) else str(cell)


def given_id(value: object) -> str:
    """An id as text: 7 and "7" are the same. Raises LineError when it is none."""
    if isinstance(value, str):
        if not value.strip():
            raise LineError("has an empty id")
        if len(value) > MAX_ID:
            raise LineError(f"has an id of more than {MAX_ID:,} characters")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LineError(f"has an id that is {KINDS.get(type(value), type(value).__name__)}: use a text or a number")
    return str(int(value)) if isinstance(value, int) or value.is_integer() else repr(value)


KINDS = {dict: "an object", list: "a list", bool: "true or false", type(None): "null", int: "a number"}
KINDS |= {float: "a number", str: "a text"}
"""What values of JSON are called."""


class Ids:
    """The ids of a batch, each given once. expected: about how many there will be."""

    def __init__(self, expected: int = 0) -> None:
        self._counts = Counts(expected)

    def take(self, item_id: str) -> None:
        """Take the id that a line has. Raises LineError when an earlier one has it."""
        if self._counts.add(_key(item_id)) > 1:
            raise LineError(f"has the id {cut(item_id, 80)!r}, which an earlier line has too")

    def make(self, digest: int, begin: str = MADE) -> str:
        """The id of a line that has none."""
        made = f"{begin}{digest:016x}"
        nth = self._counts.add(digest if begin == MADE else _key(made))
        if nth == 1:
            return made
        while self._counts.add(_key(f"{made}-{nth}")) > 1:  # an id that a line has
            nth += 1
        return f"{made}-{nth}"


def _key(item_id: str) -> int:
    if item_id.startswith(MADE) and _MADE_ID.fullmatch(item_id):
        return int(item_id[len(MADE) :], 16)
    return digest_of(utf8(item_id))
