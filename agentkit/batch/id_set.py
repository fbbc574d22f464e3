"""A set of ids with a number for each, in 16 bytes an id: what an answers file of millions of lines has, and where."""

import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable
from hashlib import blake2b

from agentkit._text import utf8

_BUCKETS = 1024
_HASH_IS_GOOD = sys.hash_info.width == 64 and sys.hash_info.algorithm.startswith("siphash")


def _slow_digest(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little", signed=True)


digest: Callable[[bytes], int] = hash if _HASH_IS_GOOD else _slow_digest
"""64 bits that stand for an id, given in UTF-8, as long as this process lives: a number from -2**63 to 2**63 - 1. Two
of a million ids share it with a probability of 3 in 100 million; nobody can choose such ids, since the key of Python's
hash is random."""


def digest_of(id_: str) -> int:
    """The digest of an id."""
    return digest(utf8(id_))


def digests_of(ids: Iterable[str]) -> list[int]:
    """The digests of ids."""
    return [digest(id_.encode("utf-8", "surrogatepass")) for id_ in ids]


class IdMap:
    """Numbers (0 to 2**63 - 1) by the digests of ids.

    Many are loaded with `extend`, followed by one `settle`; from then on they are looked up, and added one by one.
    """

    def __init__(self) -> None:
        self.keys = [array("q") for _ in range(_BUCKETS)]
        self.values = [array("q") for _ in range(_BUCKETS)]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def extend(self, entries: Iterable[tuple[int, int]]) -> None:
        """Add digests with their numbers before `settle`: the last one of a digest stands."""
        keys, values = self.keys, self.values
        for key, value in entries:
            bucket = key % _BUCKETS
            keys[bucket].append(key)
            values[bucket].append(value)

    def settle(self) -> int:
        """Sort what was added. Returns how many numbers were replaced by a later one of the same digest."""
        added = 0
        for number, (keys, values) in enumerate(zip(self.keys, self.values, strict=True)):
            if not keys:
                continue
            added += len(keys)
            last = dict(zip(keys, values, strict=True))
            self.keys[number] = array("q", sorted(last))
            self.values[number] = array("q", map(last.__getitem__, self.keys[number]))
            self._count += len(last)
        return added - self._count

    def get(self, key: int) -> int | None:
        """The number of a digest; None for one that is not there."""
        keys = self.keys[key % _BUCKETS]
        place = bisect_left(keys, key)
        return self.values[key % _BUCKETS][place] if place < len(keys) and keys[place] == key else None

    def put(self, key: int, value: int) -> None:
        """Add a number, or replace the one of the digest."""
        keys, values = self.keys[key % _BUCKETS], self.values[key % _BUCKETS]
        place = bisect_left(keys, key)
        if place < len(keys) and keys[place] == key:
            values[place] = value
            return
        keys.insert(place, key)
        values.insert(place, value)
        self._count += 1
