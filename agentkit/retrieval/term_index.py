"""Ranks short descriptions of things, such as tools, by the words of a question (BM25F).

For some thousand descriptions of which any may change at any time: what is kept of one does not depend on the others,
so an index is put together anew from them within milliseconds. For passages of texts there are the full-text tables
(`agentkit.retrieval.tables`).
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

SATURATION = 1.2
"""BM25's k1: how little a word counts more that stands there often."""


LENGTH = 0.5
"""BM25's b: how much less a word counts in a part that has more words than usual."""

Described = Mapping[str, float]
"""A description as it is indexed: the weight of each of its terms, below 1."""


def weighted(weight: float, length: int, usual: float) -> float:
    """The weight of one word in a part of a description. weight: in a part as long as usual. length, usual: words."""
    return weight / (1 - LENGTH + LENGTH * length / usual)


def described(parts: Iterable[Mapping[str, float]]) -> Described:
    """What an index keeps of a description. parts: the weights of the terms in each of its parts."""
    sums: dict[str, float] = {}
    for part in parts:
        for term, weight in part.items():
            sums[term] = sums.get(term, 0.0) + weight
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
