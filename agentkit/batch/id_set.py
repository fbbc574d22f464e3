"""A set of ids with a number for each, in 16 bytes an id: what an answers file of millions of lines has, and where."""

import sys
from array import array
from bisect import bisect_left
from hashlib import blake2b

from agentkit._text import utf8

_BUCKETS = 1024
_HASH_IS_GOOD = sys.hash_info.width == 64 and sys.hash_info.algorithm.startswith("siphash")


def _slow_digest(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


def _quick_digest(data: bytes) -> int:
    return hash(data) & 0xFFFFFFFFFFFFFFFF


digest = _quick_digest if _HASH_IS_GOOD else _slow_digest
"""64 bits that stand for an id, given in UTF-8, as long as this process lives. Two of a million ids share them with a
probability of 3 in 100 million; nobody can choose such ids, since the key of Python's hash is random."""


def digest_of(id_: str) -> int:
    """The digest of an id."""
    return digest(utf8(id_))


class IdMap:
    """Numbers (0 to 2**64 - 1) by the digests of ids.

    Many are loaded with `append`, followed by one `settle`; from then on they are looked up, and added one by one.
    """

    def __init__(self) -> None:
        self.keys = [array("Q") for _ in range(_BUCKETS)]
        self.values = [array("Q") for _ in range(_BUCKETS)]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, key: int, value: int) -> None:
        """Add a number before `settle`: the last one of a digest stands."""
        bucket = key % _BUCKETS
        self.keys[bucket].append(key)
        self.values[bucket].append(value)

    def settle(self) -> int:
        """Sort what was appended. Returns how many numbers were replaced by a later one of the same digest."""
        appended = 0
        for number, keys in enumerate(self.keys):
            if not keys:
                continue
            appended += len(keys)
            places = _places_of_last(keys)
            self.keys[number] = array("Q", map(keys.__getitem__, places))
            self.values[number] = array("Q", map(self.values[number].__getitem__, places))
            self._count += len(places)
        return appended - self._count

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


def _places_of_last(keys: "array[int]") -> list[int]:
    """The places of the digests, sorted by digest; of the same ones the last."""
    places = sorted(range(len(keys)), key=keys.__getitem__)
    if len(set(keys)) == len(keys):
        return places
    last = {keys[place]: place for place in places}
    return list(last.values())
