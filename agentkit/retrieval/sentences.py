"""Splits paragraphs into sentences, in any script."""

import re
from itertools import pairwise
from string import ascii_lowercase, ascii_uppercase

from agentkit._text import beyond_ascii


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_CLOSING = "\"'”’»)\\]」』】）》〉"
_OPENING = "\"'“‘«„([「『【（《〈¿¡*_"
_WIDE = "。！？｡؟۔।॥။។៕።፧։"
_MARKS = {mark: mark.encode() for mark in f"…;．{_WIDE}"}
"""What `_END` begins with besides those of ASCII, and in UTF-8."""
_END = re.compile(
    rf"(?<![.!?…])[.!?…]+(?:\s»|[{_CLOSING}]*)\s"
    rf"|(?<![{_WIDE}])[{_WIDE}]+[{_CLOSING}]*\s?"
    rf"|(?<!\d)．(?!\d)[{_CLOSING}]*\s?"
    r"|(?<=[\u0370-\u03ff\u1f00-\u1fff]);\s"
)
"""Behind a full stop comes a space; the marks of Chinese, Japanese, Arabic, Urdu, Hindi, Burmese, Khmer, Amharic and
Armenian need none. A Greek question ends with a semicolon."""
_ABBREVIATIONS = _words(
    "Dr Drs dr Dra Mr Mrs Ms Mme Mlle Sr Sra Sig Ing Prof Gen Col Lt Capt Rev Gov Sen St Mt No vs cf ca Approx approx "
    "Nr nr Bd Abb bzw str TP гг им см стр руб тыс डॉ"
)
"""A single letter is one as well, and so are "e.g." and "z.B."."""
_BEFORE_NUMBERS = _words(
    "Fig Figs Eq Eqs Sec Secs Ch Vol pp Pag Pags pag pags Pág Págs pág págs Art art Abs Kap Jan Feb Mar Apr Jun Jul "
    "Aug Sep Sept Oct Nov Dec al"
)
"""Abbreviations, where a number follows: "Fig. 3", "Sept. 9", "et al. [2004]"."""
_ABBREVIATION = re.compile(rf"\b(?:{'|'.join(_ABBREVIATIONS)}|[^\W\d_])\.\s$")
_BEFORE_NUMBER = re.compile(rf"\b(?:{'|'.join(_BEFORE_NUMBERS)})\.\s$")
_MAY_BE_SHORT = frozenset((*_ABBREVIATIONS, *_BEFORE_NUMBERS))
_NO_ABBREVIATION_ENDS = {first + last for first in ascii_lowercase for last in ascii_lowercase}.difference(
    word[-2:] for word in _MAY_BE_SHORT
)
_PLAIN_ENDS = frozenset(f"{mark} {letter}" for mark in ".!?" for letter in ascii_uppercase)
"""What most sentences end with, before their mark and from it on: looked at first, which is four times as quick."""
_NUMBER = re.compile(r"(?:^|\s)\d{1,3}\.\s$")
_NUMBERED = re.compile(
    "(?:Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember|Jahrhundert|Jh|Weltkrieg)\\b"
)
"""What a German ordinal number counts: "am 15. Oktober"."""
_LONGEST_ABBREVIATION = 10
_QUOTED_ON = ("と", "って")
"""What goes on behind a quotation in Japanese: "「本当ですか？」と彼は聞いた。" is one sentence."""
_THAI = re.compile(r"(?<=[\u0e00-\u0eff]) (?=[\u0e00-\u0eff])")
"""A space in Thai or Lao, which stands between sentences and clauses; there is no mark."""
_THAI_BYTES = (b"\xe0\xb8", b"\xe0\xb9", b"\xe0\xba", b"\xe0\xbb")
"""How the characters from U+0E00 to U+0EFF begin in UTF-8, in which a text is searched for them the most quickly."""
_LEAST_OF_THAI = 150
"""Minimum length of clauses that are taken as one sentence, in characters."""


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph, without line breaks."""
    text = " ".join(paragraph.split())
    ends = [0, *sentence_ends(text), len(text)]
    return [sentence for begin, end in pairwise(ends) if (sentence := text[begin:end].strip())]


def sentence_ends(text: str) -> list[int]:
    """Where the sentences of a text end: the indexes behind the marks and the space that follows them."""
    ends: list[int] = []
    searched = 0
    others = beyond_ascii(text)
    for place in _places_of_marks(text, others):
        if text[place - 2 : place] in _NO_ABBREVIATION_ENDS and text[place : place + 3] in _PLAIN_ENDS:
            searched = place + 2
            ends.append(searched)
            continue
        end = _mark_end(text, place) if place >= searched else 0
        if not end:
            continue
        searched = end
        if _is_end(text, text[place:end], end, ends[-1] if ends else 0):
            ends.append(end)
    is_thai = any(each in others for each in _THAI_BYTES)
    return sorted({*ends, *_ends_of_clauses(text, ends)}) if is_thai else ends


def _places_of_marks(text: str, others: bytes) -> list[int]:
    """Where a text has what may end a sentence, in their order: 5 times as quick as one search for all marks. others:
    its characters beyond ASCII."""
    found = []
    for mark in (*".!?", *(mark for mark, encoded in _MARKS.items() if encoded in others or (mark == ";" and others))):
        place = text.find(mark)
        while place >= 0:
            found.append(place)
            place = text.find(mark, place + 1)
    return sorted(found)


def _mark_end(text: str, place: int) -> int:
    """Where a mark ends with what belongs to it and the space behind it; 0 for one that ends no sentence."""
    behind = text[place + 1 : place + 3]
    if text[place] in ".!?…":  # most are a number's, or have one space behind them
        if behind[:1].isalnum():
            return 0
        if behind[:1] == " " and behind != " »" and text[place - 1 : place] not in (".", "!", "?", "…"):
            return place + 2
    mark = _END.match(text, place)
    return mark.end() if mark else 0


def _is_end(text: str, mark: str, end: int, begin: int) -> bool:
    """Whether a mark ends a sentence that begins there: no abbreviation's full stop, and no small letter behind it.
    mark: with what belongs to it. end: its place."""
    follows = text[end : end + 4].lstrip(_OPENING)
    if mark[0] not in ".!?…;":
        return not (mark[-1] in "」』" and follows.startswith(_QUOTED_ON)) and mark[1:] != "）"
    if follows[:1].islower():
        return False
    return mark != ". " or not _is_abbreviated(text, end, begin)


def _is_abbreviated(text: str, end: int, begin: int) -> bool:
    """Whether a full stop and the space that end there belong to an abbreviation or to a number of an item."""
    start = max(0, end - _LONGEST_ABBREVIATION)
    word = text[start : end - len(". ")].rpartition(" ")[2]
    if len(word) > 1 and word.isalnum() and not word[0].isdecimal() and word not in _MAY_BE_SHORT:
        return False  # most are words
    if _ABBREVIATION.search(text, start, end):
        return True
    if (text[end : end + 1].isdigit() or text[end : end + 1] in "[(") and _BEFORE_NUMBER.search(text, start, end):
        return True
    is_number = bool(_NUMBER.search(text, start, end))
    return is_number and (end - begin <= len("100. ") or bool(_NUMBERED.match(text, end)))


def _ends_of_clauses(text: str, ends: list[int]) -> list[int]:
    """Where long text in Thai or Lao may be split: at its spaces."""
    found = []
    marks = iter([*ends, len(text)])
    last, mark = 0, next(marks)
    for space in _THAI.finditer(text):
        while space.end() >= mark and mark < len(text):
            last, mark = mark, next(marks)
        if space.end() - last >= _LEAST_OF_THAI <= mark - space.end():
            found.append(space.end())
            last = space.end()
    return found
