"""Chooses the sentences of texts that answer a question, or none when the texts are not about it."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from agentkit.retrieval.markup import Passage, Unit
from agentkit.retrieval.words import content_words, has_word, is_unspaced, word_text

PARAGRAPH = 0.5
"""What the cover of a sentence's paragraph counts, beside that of the sentence itself."""

CONTEXT = 0.5
"""What a word of the question counts that is only in the title or the headings above a sentence."""

SUBJECT = 0.5
"""What the words of the earlier questions weigh together, beside those of a question that refers to them."""

NUMBER = 0.15
"""What a number counts where the question asks for one."""

LENGTH = 0.0003
"""What each character of a sentence costs."""

QUOTE = 450
"""Maximum length of a quote of two sentences, in characters."""

SHORT = 60
"""Length of a text that may be no more than a heading, in characters."""

SHARE, SHARE_OF_BEST, NEARNESS, WORDS, MISSING, NAMES = 5.7, 4.2, 4.7, 0.18, 0.8, 1.8
LEAST, LEAST_UNSPACED = 2.85, 2.5
"""Whether texts are about a question: fitted (logistic regression) to questions of XQuAD in four languages, whose
articles were among the texts or not (benchmarks/extractive.py)."""

NEAR = 3
"""How many words apart two words of a question are near each other in a text."""

_ASKS_FOR_A_NUMBER = re.compile(
    r"\b(?:how (?:many|much|long|old|far|often|high|large|big|tall)|when|what (?:year|date|percent\w*|number|age))\b"
    r"|多少|几|幾|何时|何時|哪一?年|多久|多大|多高|いつ|いくつ|何年|сколько|когда|в каком году|cuánt|cuándo|combien"
    r"|quand|wie ?viele?|wann|कितन|कब|كم|متى",
    re.IGNORECASE,
)

_LATER_WORD = re.compile(r"(?<=\s)[^\W_]\w*")


@dataclass(frozen=True)
class Quote:
    """Some sentences of a text, a row of a table, or code. source: the index of the text."""

    text: str
    source: int


@dataclass(frozen=True)
class _Paragraph:
    """units: what is quoted as a whole. words, context: as from `word_text`. source: the index of its text."""

    units: tuple[Unit, ...]
    words: str
    context: str
    source: int


@dataclass(frozen=True)
class Source:
    """A text to quote. title: may have words of the question, as a heading may."""

    passages: Sequence[Passage]
    title: str = ""


def best_quotes(question: str, sources: Sequence[Source], count: int = 3, *, subject: str = "") -> list[Quote]:
    """The sentences that answer a question, best first: at most `count` quotes, each a sentence, with the one behind it
    or before it where both are short, or an item, a row, a piece of code. subject: earlier questions that this one
    refers to. Returns [] when no source is about the question.
    """
    words = content_words(question)
    paragraphs = [
        _Paragraph(tuple(each.units), word_text(each.text), word_text(f"{source.title} {each.context}"), number)
        for number, source in enumerate(sources)
        for each in source.passages
    ]
    found = _Scoring(question, words, content_words(subject) if subject else (), paragraphs)
    ranked = found.ranked()
    best = list(_distinct(ranked, paragraphs, count))
    if not best:
        return []
    index, place = ranked[0]
    first = paragraphs[index].units[place].text
    if found.about([paragraphs[index] for index, _ in best], first) < _least(words):
        return []
    return [Quote(text, paragraphs[index].source) for index, text in best]


def _least(words: Sequence[str]) -> float:
    return LEAST_UNSPACED if any(map(is_unspaced, words)) else LEAST


class _Scoring:
    """How well sentences and paragraphs match one question."""

    def __init__(
        self, question: str, words: Sequence[str], subject: Sequence[str], paragraphs: Sequence[_Paragraph]
    ) -> None:
        self._words = words
        self._names = _names(question, words)
        self._paragraphs = paragraphs
        self._wants_number = bool(_ASKS_FOR_A_NUMBER.search(question))
        self._units = [
            (index, place, word_text(unit.text))
            for index, paragraph in enumerate(paragraphs)
            for place, unit in enumerate(paragraph.units)
        ]
        own = {word: self._weight(word) for word in words}
        earlier = {word: self._weight(word) for word in subject if word not in own}
        share = SUBJECT * (sum(own.values()) or 1.0) / (sum(earlier.values()) or 1.0)
        self._weights = own | {word: min(1.0, share) * weight for word, weight in earlier.items()}

    def _weight(self, word: str) -> float:
        """How much a word says: more, the fewer sentences have it (inverse document frequency)."""
        having = sum(has_word(word, text) for _, _, text in self._units)
        return math.log((len(self._units) + 1) / (having + 0.5))

    def _cover(self, text: str, context: str) -> float:
        """How much of what the words of the question say is in a text, or above it: 0 to 1."""
        there = sum(weight * _presence(word, text, context) for word, weight in self._weights.items())
        return there / (sum(self._weights.values()) or 1.0)

    def ranked(self) -> list[tuple[int, int]]:
        """The sentences, best first, by the index of the paragraph and their place in it; none without a word of the
        question in the paragraph."""
        covers = [self._cover(paragraph.words, paragraph.context) for paragraph in self._paragraphs]
        has_own = [any(has_word(word, each.words) for word in self._words) for each in self._paragraphs]
        scores: dict[tuple[int, int], float] = {}
        for index, place, text in self._units:
            paragraph = self._paragraphs[index]
            unit = paragraph.units[place].text
            number = NUMBER if self._wants_number and any(map(str.isdigit, unit)) else 0.0
            if has_own[index] and self._says_more(unit):
                score = self._cover(text, paragraph.context) + PARAGRAPH * covers[index]
                scores[index, place] = score + number - LENGTH * len(unit)
        return sorted(scores, key=lambda key: -scores[key])

    def _says_more(self, unit: str) -> bool:
        """Whether a short text has more words than the question has: else it is a heading or a link."""
        return len(unit) > SHORT or any(
            not any(has_word(word, f" {each} ") for word in self._words) for each in content_words(unit)
        )

    def about(self, quoted: Sequence[_Paragraph], best: str) -> float:
        """How certain it is that paragraphs, best first, are about the question: by how many of its words the first one
        has, and the best unit in it; how near each other they are, how many the question has, what the weightiest word
        is that is not there, and how many of the names are not."""
        first = quoted[0]
        share = self._share(first.words, first.context)
        share_of_best = self._share(word_text(best), first.context)
        nearness = max(self._nearness(paragraph.words) for paragraph in quoted)
        absent = max(
            weight * (1 - _presence(word, first.words, first.context)) for word, weight in self._weights.items()
        )
        nameless = sum(not _presence(name, first.words, first.context) for name in self._names)
        evidence = SHARE * share + SHARE_OF_BEST * share_of_best + NEARNESS * nearness + WORDS * len(self._words)
        return evidence - MISSING * absent - NAMES * nameless / max(1, len(self._names))

    def _share(self, text: str, context: str) -> float:
        """The fraction of the words of the question that are in a text, or above it."""
        return sum(_presence(word, text, context) for word in self._words) / max(1, len(self._words))

    def _nearness(self, text: str) -> float:
        """The fraction of the pairs of successive words of the question that are near each other in a text."""
        pairs = list(pairwise(self._words))
        places = {word: [] for word in self._words} if pairs else {}  # type: dict[str, list[int]]
        for place, each in enumerate(text.split()):
            for word in places:
                if has_word(word, f" {each} "):
                    places[word].append(place)
        near = sum(_are_near(places[one], places[other]) for one, other in pairs)
        return near / max(1, len(pairs))


def _names(question: str, words: Sequence[str]) -> list[str]:
    """The words of a question that are written as names or numbers are; its first word may have a capital anyway."""
    written = [word for word in _LATER_WORD.findall(question) if word[0].isupper() or word[0].isdigit()]
    return [word for word in content_words(" ".join(written)) if word in words]


def _presence(word: str, text: str, context: str) -> float:
    if has_word(word, text):
        return 1.0
    return CONTEXT if has_word(word, context) else 0.0


def _are_near(ones: Sequence[int], others: Sequence[int]) -> bool:
    return any(0 < abs(one - other) <= NEAR for one in ones for other in others)


def _distinct(
    ranked: Sequence[tuple[int, int]], paragraphs: Sequence[_Paragraph], count: int
) -> Iterator[tuple[int, str]]:
    """Yield the quotes around the best sentences, none twice, each with the index of its paragraph. What several
    sources say in the same words is quoted once."""
    used: dict[int, set[int]] = {}
    said: set[str] = set()
    for index, place in ranked:
        taken = used.setdefault(index, set())
        if place in taken:
            continue
        places = _with_neighbours(paragraphs[index].units, place, taken)
        taken.update(places)
        text = _joined([paragraphs[index].units[each] for each in places])
        if (words := word_text(text)) in said:
            continue
        said.add(words)
        yield index, text
        if len(said) == count:
            return


def _joined(units: Sequence[Unit]) -> str:
    """The text of units: in one line, with code of several lines below it."""
    text = units[0].text
    for before, unit in pairwise(units):
        text += _between(before, unit) + unit.text
    return text


def _between(before: Unit, unit: Unit) -> str:
    if "\n" in before.text or "\n" in unit.text:
        return "\n"
    if before.text[-1] in "。！？：）」』”":  # wide marks, which have their space in them
        return ""
    return " " if unit.is_sentence or before.text[-1] in ".:" else "; "


def _with_neighbours(units: Sequence[Unit], place: int, taken: set[int]) -> Sequence[int]:
    """The places of what is quoted with a unit. A sentence that introduces a list or code: as much of that as is short.
    Code: its introduction. Another sentence: the next or the previous one where both are short, for an answer often
    follows the sentence that says what it is about."""
    if units[place].text.endswith((":", "：")):
        return _while_short(units, place, taken)
    if not units[place].is_sentence:
        intro = place - 1
        is_introduced = "\n" in units[place].text and intro >= 0 and intro not in taken and units[intro].is_sentence
        return [intro, place] if is_introduced else [place]
    for other in (place + 1, place - 1):
        is_free = 0 <= other < len(units) and other not in taken and units[other].is_sentence
        if is_free and len(units[place].text) + len(units[other].text) <= QUOTE:
            return sorted((place, other))
    return [place]


def _while_short(units: Sequence[Unit], place: int, taken: set[int]) -> Sequence[int]:
    places, length = [place], len(units[place].text)
    for other in range(place + 1, len(units)):
        length += len(units[other].text)
        if units[other].is_sentence or other in taken or length > QUOTE:
            break
        places.append(other)
    return places
