"""Chooses the sentences of texts that answer a question, or none when the texts are not about it."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agentkit.retrieval.sentences import sentences
from agentkit.retrieval.words import content_words, has_word, is_unspaced, word_text

PARAGRAPH = 0.5
"""What the cover of a sentence's paragraph counts, beside that of the sentence itself."""

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
    """One or two sentences of a text. source: the index of the text."""

    text: str
    source: int


@dataclass(frozen=True)
class _Paragraph:
    """sentences: its sentences. words: as from `word_text`. source: the index of its text."""

    sentences: tuple[str, ...]
    words: str
    source: int


def best_quotes(question: str, texts: Sequence[Sequence[str]], count: int = 3) -> list[Quote]:
    """The sentences that answer a question, best first: at most `count` quotes, each a sentence, with the one behind it
    or before it where both are short. texts: the paragraphs of each. Returns [] when no text is about the question.
    """
    words = content_words(question)
    paragraphs = [
        _Paragraph(tuple(sentences(each)), word_text(each), source)
        for source, paragraphs_of_text in enumerate(texts)
        for each in paragraphs_of_text
    ]
    found = _Scoring(question, words, paragraphs)
    best = list(_distinct(found.ranked(), paragraphs, count))
    if not best or found.about([paragraphs[index] for index, _ in best]) < _least(words):
        return []
    return [Quote(text, paragraphs[index].source) for index, text in best]


def _least(words: Sequence[str]) -> float:
    return LEAST_UNSPACED if any(map(is_unspaced, words)) else LEAST


class _Scoring:
    """How well sentences and paragraphs match one question."""

    def __init__(self, question: str, words: Sequence[str], paragraphs: Sequence[_Paragraph]) -> None:
        self._words = words
        self._paragraphs = paragraphs
        self._wants_number = bool(_ASKS_FOR_A_NUMBER.search(question))
        self._sentences = [
            (index, place, word_text(sentence))
            for index, paragraph in enumerate(paragraphs)
            for place, sentence in enumerate(paragraph.sentences)
        ]
        self._weights = {word: self._weight(word) for word in words}

    def _weight(self, word: str) -> float:
        """How much a word says: more, the fewer sentences have it (inverse document frequency)."""
        having = sum(has_word(word, text) for _, _, text in self._sentences)
        return math.log((len(self._sentences) + 1) / (having + 0.5))

    def _cover(self, text: str) -> float:
        """How much of what the words of the question say is in a text: 0 to 1."""
        there = sum(weight for word, weight in self._weights.items() if has_word(word, text))
        return there / (sum(self._weights.values()) or 1.0)

    def ranked(self) -> list[tuple[int, int]]:
        """The sentences, best first, by the index of the paragraph and their place in it; none without a word of the
        question in the paragraph."""
        covers = [self._cover(paragraph.words) for paragraph in self._paragraphs]
        scores: dict[tuple[int, int], float] = {}
        for index, place, text in self._sentences:
            sentence = self._paragraphs[index].sentences[place]
            number = NUMBER if self._wants_number and any(map(str.isdigit, sentence)) else 0.0
            if covers[index]:
                score = self._cover(text) + PARAGRAPH * covers[index]
                scores[index, place] = score + number - LENGTH * len(sentence)
        return sorted(scores, key=lambda key: -scores[key])

    def about(self, quoted: Sequence[_Paragraph]) -> float:
        """How certain it is that paragraphs, best first, are about the question: by how much of it they have, how near
        each other its words are, and what the weightiest word is that the best one does not have."""
        cover = max(self._cover(paragraph.words) for paragraph in quoted)
        nearness = max(self._nearness(paragraph.words) for paragraph in quoted)
        absent = [weight for word, weight in self._weights.items() if not has_word(word, quoted[0].words)]
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
        places = _with_neighbour(paragraphs[index].sentences, place, taken)
        taken.update(places)
        yield index, " ".join(paragraphs[index].sentences[each] for each in places)
        made += 1
        if made == count:
            return


def _with_neighbour(all_sentences: Sequence[str], place: int, taken: set[int]) -> Sequence[int]:
    """The place of a sentence, with that of the next or the previous one where both are short: an answer often follows
    the sentence that says what it is about."""
    for other in (place + 1, place - 1):
        is_free = 0 <= other < len(all_sentences) and other not in taken
        if is_free and len(all_sentences[place]) + len(all_sentences[other]) <= QUOTE:
            return sorted((place, other))
    return [place]
