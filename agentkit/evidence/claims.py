"""Splits an answer into the sentences that can be checked, each with the sources that it cites."""

import re
from bisect import bisect_right
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from agentkit.evidence.layout import Block, blocks
from agentkit.evidence.ledger import key_of
from agentkit.evidence.marks import MARK, Mark, marks
from agentkit.evidence.quotations import quoted_places
from agentkit.retrieval.sentences import sentence_ends

LONGEST_ANSWER = 200_000
"""How much of an answer is looked at, in characters."""

SHORT_ANSWER = 80
"""Length of a sentence that may say nothing without the question before it, in characters."""

_CODE = r"`[^`\n]{1,300}`"
_LINK = r"\]\((?:[^()\s]|\([^()\s]{0,200}\)){0,1000}(?:\s{1,3}\"[^\"\n]{0,200}\")?\)"
_LABELLED = rf"[(（]\s?[^\W\d_]{{1,12}}(?:\s[^\W\d_]{{1,12}})?[.:：]\s{{0,2}}(?:[,;]?\s?{MARK.pattern}){{1,5}}\s?[)）]"
"""Marks with a label before them, which says nothing of the matter: "(Source: [3])", "(vgl. [3])"."""
_MARKUP = re.compile(
    rf"(?P<code>{_CODE})|(?P<labelled>{_LABELLED})|(?P<image>!\[[^\[\]\n]{{0,300}}\]\([^()\s]{{0,1000}}\))|(?P<mark>\[?{MARK.pattern}\]?"
    r"(?:\((?:[^()\s]|\([^()\s]{0,200}\)){0,1000}\))?)"
    rf"|(?P<link>{_LINK})|(?P<address><?https?://[^\s<>\u3000-\u303f\uff00-\uffef]{{1,2000}}(?<![.,;:!?])>?)"
    r"|(?P<foreign>【[^【】†\n]{1,60}†[^【】†\n]{0,60}】)|(?P<tag></?[A-Za-z][A-Za-z0-9]{0,15}(?:\s[^<>\n]{0,300})?/?>)|(?P<emphasis>\*{1,3}|__|~~)|(?P<space>\n[\s>]{0,99}|[\s|\\]{2,999}|[\t|\\])"
)
"""What is left out of a block's text, and code, which stays: a `[0]` in it is no citation."""
_WORD = re.compile(r"\S")
_BEFORE_LINK = re.compile(r"\W*(?:\w{1,20}:\W*)?")
"""What stands before a link that is no sentence: "(Source: "."""
_MOST_BEFORE, _MOST_OF_LABEL, _MOST_BEHIND = 40, 300, 20
"""Characters of such a text, of a link's label, and of what stands behind the link, such as ")."."""
NO_ADDRESSES: Mapping[str, int] = {}


@dataclass(frozen=True)
class Claim:
    """A sentence of an answer. sentence: as it stands there; start, end: where. text: without markup and citation
    marks. cited: the numbers of its sources. later: those that the next sentence with any cites in the same paragraph.
    linked: those whose addresses stand in it.
    """

    sentence: str
    start: int
    end: int
    text: str
    cited: tuple[int, ...] = ()
    later: tuple[int, ...] = ()
    linked: tuple[int, ...] = ()


@dataclass
class _Plain:
    """The text of a block without markup. text: the pieces, one space in place of what is left out. offsets: where each
    piece begins in `text`, and in the answer. links: to sources."""

    pieces: list[str] = field(default_factory=list)
    begins: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    links: list[Mark] = field(default_factory=list)
    length: int = 0

    def add(self, text: str, place: int) -> None:
        self.pieces.append(text)
        self.begins.append(self.length)
        self.places.append(place)
        self.length += len(text)

    def place(self, index: int) -> int:
        """Where a character of the text is in the answer."""
        piece = bisect_right(self.begins, index) - 1
        return self.places[piece] + index - self.begins[piece]


def claims(answer: str, known: Container[int], addresses: Mapping[str, int] = NO_ADDRESSES) -> Iterator[Claim]:
    """Yield the sentences of an answer. known: the numbers of the sources; addresses: by what `key_of` makes of their
    addresses."""
    answer = answer[:LONGEST_ANSWER]
    waiting: list[Claim] = []
    for block in blocks(answer):
        plain, found = _plain(answer, block, known, addresses)
        claimed = _of_block(answer, block, plain, found)
        if claimed:
            yield from waiting
            waiting = claimed
        elif found and waiting:  # marks in a paragraph of their own
            numbers = dict.fromkeys(number for mark in found for number in mark.numbers)
            waiting[-1] = replace(waiting[-1], cited=tuple(dict.fromkeys((*waiting[-1].cited, *numbers))), later=())
    yield from waiting


def _of_block(answer: str, block: Block, plain: "_Plain", found: list[Mark]) -> list[Claim]:
    text = "".join(plain.pieces)
    is_row = answer.startswith("|", block.start)
    ends = [0, *([] if is_row else _outside_of_quotations(sentence_ends(text), text)), len(text)]
    sentences: list[tuple[int, int, str]] = []
    for begin, end in pairwise(ends):
        said = text[begin:end].strip()
        first = _WORD.search(text, begin, end)
        if first and any(map(str.isalnum, said)):
            start = first.start()
            place = plain.place(start), plain.place(start + len(said) - 1) + 1
            sentences.append((*_with_emphasis(answer, block, *place), said))
    sentences = _without_links_alone(answer, block, sentences, plain.links)
    places = [(start, end) for start, end, _ in sentences]
    cited, linked = _cited(places, found), _cited(places, plain.links)
    later: tuple[int, ...] = ()
    claimed: list[Claim] = []
    for index in range(len(sentences) - 1, -1, -1):
        (start, end, said), numbers = sentences[index], cited[index]
        if index and numbers and not cited[index - 1] and len(said) <= SHORT_ANSWER:
            said = _with_question(sentences[index - 1][2], said)
        said = " ".join(said.split())
        claimed.append(Claim(answer[start:end], start, end, said, numbers, () if numbers else later, linked[index]))
        later = numbers or later
    return claimed[::-1]


def _without_links_alone(
    answer: str, block: Block, sentences: list[tuple[int, int, str]], links: list[Mark]
) -> list[tuple[int, int, str]]:
    """The sentences without those that are a link to a source and no more, and have another before them, as in
    "It fell. [Source](address)": the link is then that one's."""
    starts = [start for start, _, _ in sentences]
    alone: set[int] = set()
    for link in links:
        index = bisect_right(starts, link.start) - 1
        end = starts[index + 1] if index + 1 < len(starts) else block.end
        if index > 0 and _is_alone(answer, link, starts[index], end):
            alone.add(index)
    return [each for index, each in enumerate(sentences) if index not in alone] if alone else sentences


def _is_alone(answer: str, link: Mark, start: int, end: int) -> bool:
    """Whether a sentence from `start` to `end` is this link alone."""
    label = link.start
    if answer.startswith("]", label):
        label = answer.rfind("[", max(start, label - _MOST_OF_LABEL), label)
    if not start <= label <= start + _MOST_BEFORE or end - link.end > _MOST_BEHIND:
        return False
    return bool(_BEFORE_LINK.fullmatch(answer, start, label)) and not any(map(str.isalnum, answer[link.end : end]))


def _with_emphasis(answer: str, block: Block, start: int, end: int) -> tuple[int, int]:
    """The place of a sentence with the marks of emphasis around it."""
    while start > block.start and answer[start - 1] in "*_~":
        start -= 1
    while end < block.end and answer[end] in "*_~":
        end += 1
    return start, end


def _outside_of_quotations(ends: list[int], text: str) -> Iterator[int]:
    """Yield the ends of sentences that are not within a quotation, which is looked for as a whole."""
    places = quoted_places(text)
    starts = [start for start, _ in places]
    for end in ends:
        last = bisect_right(starts, end - 1) - 1
        if last < 0 or end >= places[last][1]:
            yield end


def _with_question(before: str, said: str) -> str:
    """A short answer with the question that it answers: "When was it built? In 1889 [3]." """
    return f"{before} {said}" if before.endswith(("?", "？", "؟")) else said


def _cited(places: list[tuple[int, int]], found: list[Mark]) -> list[tuple[int, ...]]:
    """The numbers that each sentence cites. A mark belongs to the sentence in which, or behind which, it stands; one
    before the first sentence to that."""
    starts = [start for start, _ in places]
    cited: list[dict[int, None]] = [{} for _ in places]
    for mark in found:
        index = max(0, bisect_right(starts, mark.start) - 1)
        if cited:
            cited[index].update(dict.fromkeys(mark.numbers))
    return [tuple(each) for each in cited]


def _plain(answer: str, block: Block, known: Container[int], addresses: Mapping[str, int]) -> tuple[_Plain, list[Mark]]:
    """The text of a block without markup, and its citation marks."""
    plain, found, done = _Plain(), list[Mark](), block.start
    for markup in _MARKUP.finditer(answer, block.start, block.end):
        kind = markup.lastgroup
        if kind == "code":
            continue
        if kind in ("mark", "labelled"):
            cites = list(marks(answer, known, markup.start(), markup.end()))
            if not cites:
                continue
            found += cites
        elif addresses and kind in ("link", "address"):
            number = addresses.get(key_of(_address_in(markup[0])))
            plain.links += [] if number is None else [Mark(markup.start(), markup.end(), (number,))]
        plain.add(answer[done : markup.start()], done)
        if kind in ("space", "mark", "labelled", "address", "tag", "image", "foreign"):
            plain.add(" ", markup.start())
        done = markup.end()
    plain.add(answer[done : block.end], done)
    return plain, found


def _address_in(markup: str) -> str:
    """The address of a link, or one that stands by itself; a closing bracket behind that is no part of it."""
    if markup.startswith("]("):
        return (markup[2:-1].split() or [""])[0]
    written = markup.strip("<>")
    closing = min(len(written) - len(written.rstrip(")")), max(0, written.count(")") - written.count("(")))
    return written[: len(written) - closing]
