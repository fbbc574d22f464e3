"""Ids of items: the one in a line, else a digest of what the line says and the how-manieth such line it is.

So an item keeps its id when other lines are added, removed or moved, its keys are reordered or white space is changed;
and lines that are equal are as many items.
"""

import hashlib
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from json.encoder import encode_basestring
from typing import NamedTuple

from agentkit._text import canonical_json, cut
from agentkit.batch import id_set
from agentkit.batch.text_lines import LineError

MADE, BAD = "q-", "bad-"
"""How ids begin that are made from a digest: those of questions, and of lines that can't be asked."""
MAX_ID = 1000
"""Maximum length of an id, in characters."""
_PARTS = 64
_TOGETHER = 1024
_64_BITS = (1 << 64) - 1
_MADE_ID = re.compile(r"q-[0-9a-f]{16}")


class Gathered:
    """Digests of 64 bits, in 8 bytes each, and which of them there are twice."""

    def __init__(self) -> None:
        self._parts = [array("Q") for _ in range(_PARTS)]

    def add(self, digest: int) -> None:
        """Add one."""
        self._parts[digest % _PARTS].append(digest)

    def add_all(self, digests: Iterable[int]) -> None:
        """Add many, which may be signed."""
        parts = self._parts
        for digest in digests:
            parts[digest % _PARTS].append(digest & _64_BITS)

    def has_any(self, digests: Set[int]) -> bool:
        """Whether one of these was added."""
        return any(not digests.isdisjoint(part) for part in self._parts)

    def repeated(self, other: "Gathered | None" = None) -> set[int]:
        """Those that were added more than once, here or there together."""
        found: set[int] = set()
        for number, part in enumerate(self._parts):
            part = part + other._parts[number] if other is not None else part
            if len(set(part)) < len(part):
                found.update(digest for digest, count in Counter(part).items() if count > 1)
        return found


def digest_of(content: bytes) -> int:
    """A digest of 64 bits."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


def value_digest(value: object) -> int:
    """The digest of a value of JSON, whatever the order of its keys. Raises LineError for what JSON can't represent."""
    try:
        text = encode_basestring(value) if type(value) is str else canonical_json(value)
        return digest_of(text.encode())
    except (TypeError, ValueError) as error:
        raise LineError(f"can't be written as JSON: {cut(str(error), 200)}") from None
    except RecursionError:
        raise LineError("is nested too deeply") from None


def row_digest(row: Mapping[str, object]) -> int:
    """The digest of a row of a table, the same for a CSV and a parquet file: of its cells as text, but not
    of empty ones."""
    texts = {}
    for name, cell in row.items():
        text = cell if type(cell) is str else _cell_text(cell)
        if text:
            texts[name] = text
    return value_digest(texts)


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


class SeenIds:
    """The ids of all lines, as they are seen when the lines are read for the first time."""

    def __init__(self) -> None:
        self._given = Gathered()
        self._made = Gathered()
        self._as_made: set[str] = set()
        self._taken: list[str] = []

    def take(self, item_id: str) -> None:
        """A line has this id."""
        self._taken.append(item_id)
        if len(self._taken) >= _TOGETHER:
            self._add_taken()

    def _add_taken(self) -> None:
        """Add the ids that were taken, many together: one by one takes longer."""
        as_made = [item_id for item_id in self._taken if item_id.startswith((MADE, BAD))]
        self._as_made.update(as_made)
        self._given.add_all(map(_key, self._taken) if as_made else id_set.digests_of(self._taken))
        self._taken.clear()

    def make(self, digest: int, begin: str = MADE) -> str:
        """A line has none. Returns no id yet."""
        self._made.add(digest if begin == MADE else _key(f"{begin}{digest:016x}"))
        return ""

    def known(self) -> "KnownIds":
        """What is to be known when the lines are read again."""
        self._add_taken()
        repeated = self._given.repeated(self._made)
        return KnownIds(repeated, frozenset(self._as_made), bool(repeated) and self._given.has_any(repeated))


class KnownIds(NamedTuple):
    """Digests of the ids that there are more than once; ids in lines that look like made ones; whether one that a line
    has is there more than once."""

    repeated: Set[int] = frozenset()
    as_made: Set[str] = frozenset()
    has_twice: bool = False


class Ids:
    """The ids of a batch, each given once. known: of all lines."""

    def __init__(self, known: KnownIds) -> None:
        self._known = known
        self._are_unique = not known.repeated
        self._counts: Counter[int] = Counter()

    def take(self, item_id: str) -> None:
        """Take the id that a line has. Raises LineError when an earlier one has it."""
        if self._are_unique:
            return
        key = _key(item_id)
        if key in self._known.repeated:
            self._counts[key] += 1
            if self._counts[key] > 1:
                raise LineError(f"has the id {cut(item_id, 80)!r}, which an earlier line has too")

    def make(self, digest: int, begin: str = MADE) -> str:
        """The id of a line that has none."""
        made = f"{begin}{digest:016x}"
        if self._are_unique:
            return made
        key = digest if begin == MADE else _key(made)
        if key not in self._known.repeated:
            return made
        self._counts[key] += 1
        nth = self._counts[key]
        if nth == 1:
            return made
        while f"{made}-{nth}" in self._known.as_made:  # a line has it
            self._counts[key] += 1
            nth = self._counts[key]
        return f"{made}-{nth}"


def _key(item_id: str) -> int:
    if item_id.startswith(MADE) and _MADE_ID.fullmatch(item_id):
        return int(item_id[len(MADE) :], 16)
    return id_set.digest_of(item_id) & _64_BITS
