"""A text of a source as it is read for comparison: its sentences, their words, numbers and months."""

import functools
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

from agentkit.evidence.folding import Folding, script
from agentkit.evidence.month_names import names_month
from agentkit.evidence.numbers import NumberPlaces, is_other_part, months
from agentkit.evidence.quotations import QuotedText
from agentkit.retrieval.sentences import sentence_ends
from agentkit.retrieval.words import is_unspaced, without_articles

LONGEST_TEXT = 500_000
"""How much of a source's text is looked at, in characters: as much as a ledger keeps of it."""

LONGEST_KEPT = 50_000
"""Length of a text that is not read again when it is cited in the next answer, in characters; 64 such are kept."""

LONGEST_SENTENCE, LONGEST_UNSPACED = 600, 200
"""Length in characters at which a text without full stops is cut."""

LEAST_SENTENCE = 25
"""A shorter one, such as a heading, makes no sentence of a passage by itself."""

SENTENCES = 2
"""How many sentences make a passage."""

MOST_OF_PASSAGE = 6
"""How many sentences a passage has at most, the short ones included."""

_ARABIC = re.compile("[\u0621-\u064a]")
_LONGEST_ARTICLE = 6


@dataclass(frozen=True)
class ReadText:
    """A text in sentences. spans: their places. folded: the text as its words are compared, with " " before it. begins:
    where each sentence begins in that. ends: for each sentence, behind which one the passage ends that begins with it.
    """

    text: str
    spans: tuple[tuple[int, int], ...]
    folded: str
    begins: tuple[int, ...]
    ends: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> "ReadText":
        """A text that is read now, or one of the last short ones."""
        return _kept(text) if len(text) <= LONGEST_KEPT else cls._read(text)

    @classmethod
    def _read(cls, text: str) -> "ReadText":
        spans, (folding, folded) = _spans(text), Folding.of(text)
        if len(folded) == len(text):
            return cls(text, spans, f" {folded}", tuple(start + 1 for start, _ in spans), _ends(spans))
        parts = [f"{folding(text[start:end])} " for start, end in spans]
        begins = tuple(accumulate(map(len, parts), initial=1))[: len(parts)]
        return cls(text, spans, f" {''.join(parts)}", begins, _ends(spans))

    @functools.cached_property
    def numbers(self) -> NumberPlaces:
        """Its numbers."""
        return NumberPlaces.of(self.text)

    @functools.cached_property
    def months(self) -> frozenset[int]:
        """The months of its dates."""
        return self.numbers.months.union(months(self.text))

    def sentences_with_number(self, values: Iterable[str], is_day: bool = False) -> set[int]:
        """The numbers of the sentences that have a number of any of some values. is_day: other than as a month."""
        end = len(self.text) + 1
        places = (place for value in values for place in self.numbers.values.get(value, ()))
        if is_day:
            places = (place for place in places if not is_other_part(self.text, place, is_day=True))
        return {max(0, bisect_right(self.spans, (place, end)) - 1) for place in places}

    def names_month(self, month: int, written: str) -> bool:
        """Whether it names a month away from any number, or has its number, as "7月" may be meant. written: "" for one
        that was named by its number."""
        if written:
            return names_month(month, written, self.text, self.folded)
        places = self.numbers.values.get(str(month), ())
        return any(not is_other_part(self.text, place, is_day=False) for place in places)

    @functools.cached_property
    def quoted(self) -> QuotedText:
        """The text in which quotations are looked for."""
        return QuotedText(self.text)

    @functools.cached_property
    def script(self) -> str:
        """In which script it is written."""
        return script(self.text)

    def sentences_with(self, each: str) -> list[int]:
        """The numbers of the sentences that have a word. each: its key."""
        found: list[int] = []
        for place in _places(each, self.folded):
            number = bisect_right(self.begins, place) - 1
            if not found or found[-1] != number:
                found.append(number)
        return found


@functools.lru_cache(64)
def _kept(text: str) -> ReadText:
    return ReadText._read(text)


def _places(each: str, folded: str) -> Iterator[int]:
    """Yield where a word begins in a folded text. each: its key."""
    if _ARABIC.match(each):
        yield from _arabic_places(each, folded)
        return
    if each.isdecimal() and each.isascii():
        yield from _number_places(each, folded)
        return
    written = each if is_unspaced(each) else f" {each}" if len(each) > 3 else f" {each} "
    place = folded.find(written)
    while place >= 0:
        yield place + (written[0] == " ")
        place = folded.find(written, place + 1)


def _number_places(each: str, folded: str) -> Iterator[int]:
    """The same for digits, beside which scripts without spaces have none."""
    place = folded.find(each)
    while place >= 0:
        before, behind = folded[place - 1 : place], folded[place + len(each) : place + len(each) + 1]
        is_begun = before == " " or is_unspaced(before)
        if is_begun and (len(each) > 3 or not behind.strip() or is_unspaced(behind)):
            yield place
        place = folded.find(each, place + 1)


def _arabic_places(each: str, folded: str) -> Iterator[int]:
    """The same, with and without an article."""
    place = folded.find(each)
    while place >= 0:
        before = folded[max(0, place - _LONGEST_ARTICLE) : place].rpartition(" ")
        if before[1] and (not before[2] or not without_articles(before[2] + each).removeprefix(each)):
            yield place
        place = folded.find(each, place + 1)


def _ends(spans: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    count = len(spans)
    ends, whole = [], [count] * SENTENCES  # the next sentences that are long enough
    for begin in range(count - 1, -1, -1):
        start, end = spans[begin]
        if end - start >= LEAST_SENTENCE:
            whole = [begin, *whole[:-1]]
        ends.append(min(begin + MOST_OF_PASSAGE, whole[-1] + 1, count))
    return tuple(ends[::-1])


def _spans(text: str) -> tuple[tuple[int, int], ...]:
    """The places of the sentences of a text, without white space around them."""
    ends = sorted({0, len(text), *sentence_ends(text), *_line_ends(text)})
    long = [(begin, end) for begin, end in pairwise(ends) if end - begin > LONGEST_UNSPACED]
    if cuts := {place for begin, end in long for place in _cuts(text, begin, end)}:
        ends = sorted(cuts.union(ends))
    found = []
    for begin, end in pairwise(ends):
        said = text[begin:end].strip()
        if said:
            start = begin if text[begin] == said[0] else text.index(said[0], begin)
            found.append((start, start + len(said)))
    return tuple(found)


def _line_ends(text: str) -> Iterator[int]:
    """Yield where lines end, but for those in the middle of a sentence: the next line goes on with a small letter."""
    end = text.find("\n")
    while end >= 0:
        if not text[end + 1 : end + 2].islower():
            yield end + 1
        end = text.find("\n", end + 1)


def _cuts(text: str, begin: int, end: int) -> Iterator[int]:
    """Yield where a long sentence is cut."""
    while end - begin > LONGEST_UNSPACED:
        space = text.rfind(" ", begin + LONGEST_SENTENCE // 2, begin + LONGEST_SENTENCE)
        if space >= 0 or _is_spaced(text, begin):
            if end - begin <= LONGEST_SENTENCE:
                return
            last = space + 1 if space >= 0 else begin + LONGEST_SENTENCE
        else:
            last = begin + LONGEST_UNSPACED
        yield last
        begin = last


def _is_spaced(text: str, begin: int) -> bool:
    return text.find(" ", begin, begin + LONGEST_UNSPACED) >= 0
