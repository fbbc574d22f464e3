"""Splits paragraphs into sentences, in any script."""

import re
from itertools import pairwise

_CLOSING = "\"'”’»)\\]」』】）》〉"
_OPENING = "\"'“‘«„([「『【（《〈¿¡*_"
_WIDE = "。！？｡؟۔।॥။។៕።፧։"
_MARK = re.compile(f"[.!?…;．{_WIDE}]")
"""What `_END` begins with: a text is searched for it three times as quickly."""
_END = re.compile(
    rf"(?<![.!?…])[.!?…]+(?:\s»|[{_CLOSING}]*)\s"
    rf"|(?<![{_WIDE}])[{_WIDE}]+[{_CLOSING}]*\s?"
    rf"|(?<!\d)．(?!\d)[{_CLOSING}]*\s?"
    r"|(?<=[\u0370-\u03ff\u1f00-\u1fff]);\s"
)
"""Behind a full stop comes a space; the marks of Chinese, Japanese, Arabic, Urdu, Hindi, Burmese, Khmer, Amharic and
Armenian need none. A Greek question ends with a semicolon."""
_ABBREVIATION = re.compile(
    r"(?:\b(?:Drs?|dr|Dra|Mrs?|Ms|Mme|Mlle|Sra?|Sig|Ing|Prof|Gen|Col|Lt|Capt|Rev|Gov|Sen|St|Mt|No|vs|e\.g|i\.e|cf|c|ca"
    r"|[Aa]pprox|Nr|nr|Bd|Abb|z\.B|bzw|str|TP|д|т|г|гг|им|см|стр|руб|тыс|ई|डॉ|[^\W\d_])\.)\s$"
)
_BEFORE_NUMBER = re.compile(
    r"\b(?:Figs?|Eqs?|Secs?|Ch|Vol|pp|[Pp][áa]gs?|[Aa]rt|Abs|Kap|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|al)\.\s$"
)
"""Abbreviations, where a number follows: "Fig. 3", "Sept. 9", "et al. [2004]"."""
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
_IS_THAI = re.compile("[\u0e00-\u0eff]")
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
    for place in _MARK.finditer(text):
        mark = _END.match(text, place.start()) if place.start() >= searched else None
        if mark is None:
            continue
        searched = mark.end()
        if _is_end(text, mark, ends[-1] if ends else 0):
            ends.append(searched)
    return sorted({*ends, *_ends_of_clauses(text, ends)}) if _IS_THAI.search(text) else ends


def _is_end(text: str, mark: re.Match[str], begin: int) -> bool:
    """Whether a mark ends a sentence that begins there: no abbreviation's full stop, and no small letter behind it."""
    follows = text[mark.end() : mark.end() + 4].lstrip(_OPENING)
    if mark.group()[0] not in ".!?…;":
        return not (mark.group()[-1] in "」』" and follows.startswith(_QUOTED_ON)) and mark.group()[1:] != "）"
    if follows[:1].islower():
        return False
    return mark.group() != ". " or not _is_abbreviated(text, mark.end(), begin)


def _is_abbreviated(text: str, end: int, begin: int) -> bool:
    """Whether a full stop and the space that end there belong to an abbreviation or to a number of an item."""
    start = max(0, end - _LONGEST_ABBREVIATION)
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
