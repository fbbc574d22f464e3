"""Ranks short descriptions of things, such as tools, by the words of a question (BM25F).

For some thousand descriptions of which any may change at any time: what is kept of one does not depend on the others,
so an index is put together anew from them within milliseconds. For passages of texts there are the full-text tables
(`agentkit.retrieval.tables`).
"""

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

SATURATION = 1.2
"""BM25's k1: how little a word counts more that stands there often."""


@dataclass(frozen=True)
class Field:
    """A part of a description. terms: its words, with repetitions. weight: of one of them. usual: how many words such a
    part has; in a longer one each counts less. length: how much less, from 0 to 1 (BM25's b)."""

    terms: Sequence[str]
    weight: float
    usual: float
    length: float = 0.5

    def weights(self) -> dict[str, float]:
        """The weight of each term."""
        each = self.weight / (1 - self.length + self.length * len(self.terms) / self.usual)
        return {term: each * count for term, count in Counter(self.terms).items()}


Described = Mapping[str, float]
"""A description as it is indexed: the weight of each of its terms, below 1."""


def described(fields: Iterable[Field]) -> Described:
    """What an index keeps of a description."""
    sums: dict[str, float] = defaultdict(float)
    for each in fields:
        for term, weight in each.weights().items():
            sums[term] += weight
    return {term: weight / (weight + SATURATION) for term, weight in sums.items()}


class TermIndex:
    """An index of descriptions, numbered in their order. It does not change."""

    def __init__(self, descriptions: Iterable[Described]) -> None:
        self._places: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self._count = 0
        for number, each in enumerate(descriptions):
            self._count += 1
            for term, weight in each.items():
                self._places[term].append((number, weight))

    def best(self, terms: Mapping[str, float], count: int) -> list[int]:
        """The numbers of the descriptions that have any of the terms, best first, `count` at most. terms: of the
        question, with the weight of each."""
        scores: dict[int, float] = defaultdict(float)
        for term, weight in terms.items():
            places = self._places.get(term, ())
            rarity = weight * math.log(1 + (self._count - len(places) + 0.5) / (len(places) + 0.5))
            for number, value in places:
                scores[number] += rarity * value
        return heapq.nsmallest(count, scores, key=lambda number: (-scores[number], number))
