"""Chooses the sentences of texts that answer a question, or none when the texts are not about it."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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

COVER, NEARNESS, MISSING = 2.7, 2.5, 1.4
LEAST, LEAST_UNSPACED = 0.92, 0.44
"""Whether texts are about a question: fitted (logistic regression) to questions of XQuAD in English, Chinese and
Russian, whose articles were among the texts or not (benchmarks/extractive.py)."""

NEAR = 3
"""How many words apart two words of a question are near each other in a text."""

_ASKS_FOR_A_NUMBER = re.compile(
    r"\b(?:how (?:many|much|long|old|far|often|high|large|big|tall)|when|what (?:year|date|percent\w*|number|age))\b"
    r"|多少|几|幾|何时|何時|哪一?年|多久|多大|多高|いつ|いくつ|何年|сколько|когда|в каком году|cuánt|cuándo|combien"
    r"|quand|wie ?viele?|wann|कितन|कब|كم|متى",
    re.IGNORECASE,
)


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
    best = list(_distinct(found.ranked(), paragraphs, count))
    if not best or found.about([paragraphs[index] for index, _ in best]) < _least(words):
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
            if has_own[index] or (covers[index] and not self._words):
                score = self._cover(text, paragraph.context) + PARAGRAPH * covers[index]
                scores[index, place] = score + number - LENGTH * len(unit)
        return sorted(scores, key=lambda key: -scores[key])

    def about(self, quoted: Sequence[_Paragraph]) -> float:
        """How certain it is that paragraphs, best first, are about the question: by how much of it they have, how near
        each other its words are, and what the weightiest word is that the best one does not have."""
        cover = max(self._cover(paragraph.words, paragraph.context) for paragraph in quoted)
        nearness = max(self._nearness(paragraph.words) for paragraph in quoted)
        absent = [
            weight * (1 - _presence(word, quoted[0].words, quoted[0].context)) for word, weight in self._weights.items()
        ]
        return COVER * cover + NEARNESS * nearness - MISSING * max(absent, default=0.0) / 8

    def _nearness(self, text: str) -> float:
        """The fraction of the pairs of successive words of the question that are near each other in a text."""
        pairs = list(zip(self._words, self._words[1:], strict=False))
        places = {word: [] for word in self._words} if pairs else {}  # type: dict[str, list[int]]
        for place, each in enumerate(text.split()):
            for word in places:
                if has_word(word, f" {each} "):
                    places[word].append(place)
        near = sum(_are_near(places[one], places[other]) for one, other in pairs)
        return near / max(1, len(pairs))


def _presence(word: str, text: str, context: str) -> float:
    if has_word(word, text):
        return 1.0
    return CONTEXT if has_word(word, context) else 0.0


def _are_near(ones: Sequence[int], others: Sequence[int]) -> bool:
    return any(0 < abs(one - other) <= NEAR for one in ones for other in others)


def _distinct(
    ranked: Sequence[tuple[int, int]], paragraphs: Sequence[_Paragraph], count: int
) -> Iterator[tuple[int, str]]:
    """Yield the quotes around the best sentences, none twice, each with the index of its paragraph."""
    used: dict[int, set[int]] = {}
    made = 0
    for index, place in ranked:
        taken = used.setdefault(index, set())
        if place in taken:
            continue
        places = _with_neighbours(paragraphs[index].units, place, taken)
        taken.update(places)
        yield index, _joined([paragraphs[index].units[each] for each in places])
        made += 1
        if made == count:
            return


def _joined(units: Sequence[Unit]) -> str:
    """The text of units: in one line, with code of several lines below it."""
    text = ""
    for before, unit in zip((None, *units), units, strict=False):
        is_list = before is not None and not (before.is_sentence and unit.is_sentence)
        separator = "\n" if "\n" in unit.text or "\n" in text else "; " if is_list and text[-1] not in ":：" else " "
        text += (separator if text else "") + unit.text
    return text


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
