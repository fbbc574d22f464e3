"""The passage of a text that has most of the words of a sentence."""

import heapq
import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from agentkit.evidence.read_text import LONGEST_TEXT, ReadText
from agentkit.retrieval.words import content_words, is_unspaced

BACKGROUND = 100
"""How many sentences that have none of its words a text is imagined to have besides: so what a word of the answer
means does not depend much on the length of the text."""

FREQUENT = 200
"""In more sentences than this a word says little on where to look: passages are looked for by the others."""

CANDIDATES = 20


def key(word: str) -> str:
    """The beginning of a word, by which its other forms are found. word: as from `content_words`."""
    if len(word) <= 3 or is_unspaced(word):
        return word
    return word[:4] if len(word) < 6 else word[:5]


def keys(text: str, most: int) -> list[str]:
    """The keys of the words of a sentence that say something, `most` at most."""
    words = content_words(text)
    found = dict.fromkeys(key(word) for word in words if len(word) > 1 or not is_unspaced(word) or len(words) == 1)
    return list(found)[:most]


class TextIndex:
    """A text, with the sentences in which the words of one answer stand."""

    def __init__(self, text: str) -> None:
        self.text = text[:LONGEST_TEXT]
        self.read = ReadText.of(self.text)
        self._places: dict[str, list[int]] = {}
        self._summed: Mapping[str, float] | None = None
        self._sums: dict[int, float] = {}

    def _sentences_with(self, each: str) -> list[int]:
        places = self._places.get(each)
        if places is None:
            places = self._places[each] = self.read.sentences_with(each) if self.read.spans else []
        return places

    def weight(self, each: str) -> float:
        """How much a word means: more, the fewer sentences have it (inverse document frequency)."""
        return math.log((len(self.read.spans) + 1 + BACKGROUND) / (len(self._sentences_with(each)) + 0.5))

    def has(self, each: str) -> bool:
        """Whether a word is anywhere in the text. each: its key."""
        return bool(self._sentences_with(each))

    def best(self, weights: Mapping[str, float], *, within: Collection[int] | None = None) -> tuple[float, int]:
        """The greatest sum of weights in a passage, and the number of the sentence with which the passage begins; -1
        for none. within: the sentences of which a passage has to have one."""
        if weights is not self._summed:
            self._summed, self._sums = weights, self._sums_of(weights)
        sums = self._sums
        if within is not None:
            sums = {begin: sums.get(begin, 0.0) for begin in set(self._begins(sorted(within)))}
        if any(len(self._sentences_with(each)) > FREQUENT for each in weights):
            sums = self._exact(heapq.nlargest(CANDIDATES, sums, key=sums.__getitem__), weights)
        if not sums:
            return 0.0, -1
        most = max(sums.values())
        return most, min(begin for begin, each in sums.items() if each == most)

    def _sums_of(self, weights: Mapping[str, float]) -> dict[int, float]:
        """The sum of weights in each passage, by its first sentence, without what is frequent from some place on."""
        sums: dict[int, float] = defaultdict(float)
        for each, weight in weights.items():
            for begin in self._begins(self._sentences_with(each)[:FREQUENT]):
                sums[begin] += weight
        return sums

    def _exact(self, begins: Sequence[int], weights: Mapping[str, float]) -> dict[int, float]:
        return {begin: sum(weights[each] for each in self.found(begin, weights)) for begin in begins}

    def found(self, begin: int, wanted: Collection[str], around: int = 0) -> frozenset[str]:
        """Which words a passage has. begin: its first sentence. wanted: keys. around: how many sentences before and
        behind it count as well."""
        first, end = begin - around, self.read.ends[begin] + around
        return frozenset([each for each in wanted if _any_between(self._sentences_with(each), first, end)])

    def best_sentence(self, begin: int, weights: Mapping[str, float]) -> int:
        """The number of the sentence of a passage that has most of some words. begin: its first sentence."""
        numbers = range(begin, self.read.ends[begin])
        sums = {each: sum(weights[word] for word in weights if self._is_in(word, each)) for each in numbers}
        return max(sums, key=sums.__getitem__)

    def _is_in(self, word: str, number: int) -> bool:
        return _any_between(self._sentences_with(word), number, number + 1)

    def _begins(self, places: Sequence[int]) -> Iterator[int]:
        """Yield where the passages begin that have any of some sentences, each once. places: in their order."""
        done = -1
        for place in places:
            yield from range(max(done + 1, bisect_right(self.read.ends, place)), place + 1)
            done = place

    def passage(self, begin: int) -> tuple[int, int]:
        """Where a passage stands in the text."""
        return self.read.spans[begin][0], self.read.spans[self.read.ends[begin] - 1][1]


def _any_between(places: Sequence[int], begin: int, end: int) -> bool:
    first = bisect_left(places, begin)
    return first < len(places) and places[first] < end
