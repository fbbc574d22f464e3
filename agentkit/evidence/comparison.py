"""Compares one sentence of an answer with one text of a source."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from agentkit.evidence.claims import Claim
from agentkit.evidence.denials import denies
from agentkit.evidence.folding import script
from agentkit.evidence.names import beginning, names
from agentkit.evidence.numbers import Number, months, numbers, words_of
from agentkit.evidence.quotations import quotations
from agentkit.evidence.text_index import TextIndex, keys
from agentkit.retrieval.words import is_unspaced, letters

PAGE = "\f"
"""Stands between two pages of a text that has any."""

MOST_WORDS = 60
"""How many words, numbers, names and quotations of a sentence are looked at."""

_SEPARATED = re.compile(r"\d{1,40}(?:[.,٫٬·'’]\d{1,40}){1,20}")
"""A number that is no word as it is written, for others write it with other separators."""

AROUND, WEIGHT_AROUND = 2, 0.5
"""How many sentences before and behind the best passage count as well, and how much a word there counts."""

NEAR, NEAR_OF_SEVERAL = 0.8, 0.6
"""What share of the cover of the best passage a passage with a number of the sentence has at least, or else the number
belongs to something else; less for a sentence with several numbers, which may be of several passages."""


@dataclass(frozen=True)
class Sentence:
    """A sentence of an answer, read once for all its sources. keys: of its words. names: each with its beginning."""

    keys: tuple[str, ...]
    numbers: tuple[Number, ...]
    months: Mapping[int, str]
    names: Mapping[str, str]
    quotations: tuple[str, ...]
    script: str
    denies: bool = False

    @classmethod
    def of(cls, claim: Claim) -> "Sentence":
        """The sentence of a claim."""
        dated = months(claim.text)
        found = (name for name in names(claim.text) if letters(name).strip() not in dated.values())
        named = {name: begin for name in islice(found, MOST_WORDS) if (begin := beginning(name))}
        return cls(
            tuple(keys(_SEPARATED.sub(" ", claim.text), MOST_WORDS)),
            tuple(numbers(claim.text))[:MOST_WORDS],
            dated,
            named,
            tuple(quotations(claim.text))[:MOST_WORDS],
            script(claim.text),
            denies(claim.text),
        )

    @cached_property
    def is_unspaced(self) -> bool:
        """Whether most of its words are pairs of characters of a script without spaces."""
        return 2 * sum(map(is_unspaced, self.keys)) > len(self.keys)


@dataclass(frozen=True)
class Finding:
    """What a text has of a sentence.

    cover: how much of what its words mean is in the best passage, 0 to 1. quote, span: that passage; None where
    there is none. found: the keys in it; around: those beside it. weights: how much each key means. absent: the numbers
    that the text does not have; elsewhere: those that it has beside other things. unnamed: the names that it does not
    have. unquoted: the quotations. is_foreign: whether it is in another script, so that no words can be compared.
    page: of the text, on which the passage says it; None where it has no pages.
    """

    cover: float = 0.0
    quote: str = ""
    span: tuple[int, int] | None = None
    found: frozenset[str] = frozenset()
    around: frozenset[str] = frozenset()
    weights: Mapping[str, float] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()
    unquoted: tuple[str, ...] = ()
    is_foreign: bool = False
    page: int | None = None


class SourceText:
    """One text of a source, as it is compared with the sentences that cite it."""

    def __init__(self, text: str, title: str) -> None:
        self._index = TextIndex(text)
        self.length = len(self._index.text)
        self._read = self._index.read
        self._title = f" {letters(title)} "
        self._titled = frozenset(value for number in numbers(title) for value in number.values)

    def finding(self, sentence: Sentence) -> Finding:
        """What the text has of a sentence."""
        weights = {each: self._index.weight(each) for each in sentence.keys}
        begin = self._index.best(weights)[1]
        absent, there = self._numbers_of(sentence)
        found, around, start, end = frozenset[str](), frozenset[str](), 0, 0
        if begin >= 0:
            found = self._index.found(begin, weights)
            around = self._index.found(begin, weights, AROUND) - found
            start, end = self._index.passage(begin)
        return Finding(
            _cover(weights, found, around),
            self._index.text[start:end],
            (start, end) if begin >= 0 else None,
            found,
            around,
            weights,
            absent=absent or self._absent_months(sentence),
            elsewhere=self._elsewhere(there, weights),
            unnamed=tuple(name for name, begins in sentence.names.items() if not self._has_name(begins, sentence)),
            unquoted=tuple(each for each in sentence.quotations if not self._read.quoted.has(each)),
            page=self._page_of(begin, weights) if begin >= 0 else None,
            is_foreign=bool(sentence.script and self._read.script and sentence.script != self._read.script),
        )

    def _page_of(self, begin: int, weights: Mapping[str, float]) -> int | None:
        """The number of the page on which a passage says most of a sentence; None where the text has no pages. begin:
        the first sentence of the passage."""
        if PAGE not in self._index.text:
            return None
        start, _ = self._read.spans[self._index.best_sentence(begin, weights)]
        return self._index.text.count(PAGE, 0, start) + 1

    def _numbers_of(self, sentence: Sentence) -> tuple[tuple[str, ...], dict[str, set[int]]]:
        """The numbers of a sentence that the text does not have, and the sentences in which the others are."""
        absent, there = [], {}
        for number in sentence.numbers:
            places = self._read.sentences_with_number(number.values, number.is_day)
            if places:
                there[number.written] = places
            elif not (self._is_written_out(number) or number.values & self._titled):
                absent.append(number.written)
        return tuple(absent), there

    def _is_written_out(self, number: Number) -> bool:
        """Whether the text has a number as a word, or as the name of a month."""
        if number.month and number.month in self._read.months:
            return True
        written = [word for value in number.values for word in words_of(value)] if number.is_alone else []
        return any((word if is_unspaced(word) else f" {word}") in self._read.folded for word in written)

    def _absent_months(self, sentence: Sentence) -> tuple[str, ...]:
        return tuple(
            written or str(month)
            for month, written in sentence.months.items()
            if month not in self._read.months and not self._read.names_month(month, written)
        )

    def _elsewhere(self, there: Mapping[str, set[int]], weights: Mapping[str, float]) -> tuple[str, ...]:
        """The numbers that the text has only far from the other words of the sentence."""
        if not there:
            return ()
        if any(map(str.isdigit, weights)):
            weights = {each: weight for each, weight in weights.items() if not each.isdigit()}
        if not weights:
            return ()
        least = (NEAR if len(there) == 1 else NEAR_OF_SEVERAL) * self._near(weights, None)
        return tuple(written for written, places in there.items() if self._near(weights, places) < least)

    def _near(self, weights: Mapping[str, float], within: set[int] | None) -> float:
        """The cover of the best passage. within: the sentences of which it has to have one."""
        begin = self._index.best(weights, within=within)[1]
        if begin < 0:
            return 0.0
        found = self._index.found(begin, weights)
        return _cover(weights, found, self._index.found(begin, weights, AROUND) - found)

    def _has_name(self, begins: str, sentence: Sentence) -> bool:
        place = begins if sentence.is_unspaced else f" {begins}"
        return place in self._read.folded or place in self._title


def joined(findings: Sequence[Finding]) -> Finding:
    """What several texts have of a sentence together."""
    found = frozenset().union(*(each.found for each in findings))
    weights: dict[str, float] = {}
    for each in findings:
        for key, weight in each.weights.items():
            weights[key] = weights.get(key, 0.0) + weight
    around = frozenset().union(*(each.around for each in findings)) - found
    return Finding(
        _cover(weights, found, around),
        found=found,
        around=around,
        weights=weights,
        absent=_in_all([each.absent for each in findings]),
        elsewhere=_in_all([(*each.absent, *each.elsewhere) for each in findings]),
        unnamed=_in_all([each.unnamed for each in findings]),
        unquoted=_in_all([each.unquoted for each in findings]),
        is_foreign=all(each.is_foreign for each in findings),
    )


def _in_all(lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(each for each in lists[0] if all(each in other for other in lists[1:]))


def _cover(weights: Mapping[str, float], found: frozenset[str], around: frozenset[str]) -> float:
    there = sum(weight * (WEIGHT_AROUND if key in around else key in found) for key, weight in weights.items())
    return there / (sum(weights.values()) or 1.0)
