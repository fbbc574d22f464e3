"""Words of Arabic, Hebrew and the like in a PDF, which has their letters from the left to the right, as they are drawn.

pdfium turns most of them, and leaves others as they are, often within one line (those between signs, or drawn letter by
letter). Where the letters of a word are on the page says which.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

import pypdfium2
import pypdfium2.raw as pdfium

_LETTERS = (
    "\u0591-\u05bd\u05bf-\u05c2\u05c4-\u05f2"  # Hebrew
    "\u0610-\u061a\u0620-\u065f\u066e-\u06d3\u06d5-\u06ef\u06fa-\u06ff"  # Arabic, without signs and digits
    "\u070f-\u08ff\ufb1d-\ufdfb\ufe70-\ufefc"  # Syriac, Thaana, N'Ko and others, and the forms of letters in a word
)
_LETTER = re.compile(f"[{_LETTERS}]")
_WORD = re.compile(f"[{_LETTERS}]{{2,200}}")

Letter = tuple[str, float]
"""A letter, and where its middle is on the page, in points from the left."""


def is_right_to_left(text: str) -> bool:
    """Whether most letters of a text are of scripts that are written from the right to the left."""
    return 2 * sum(map(len, _WORD.findall(text))) > sum(map(str.isalpha, text))


def with_words_turned(text: str, page: pypdfium2.PdfTextPage) -> str:
    """A text of a page, in which the letters of each word are in the order in which they are read."""
    if not _WORD.search(text):
        return text
    right, wrong = set[str](), dict[str, str]()
    for word in _words(page):
        if _is_turned(word):
            wrong[_written(word)] = _written(_from_the_end(word))
        else:
            right.add(_written(word))
    return _WORD.sub(lambda found: found[0] if found[0] in right else wrong.get(found[0], found[0]), text)


def _words(page: pypdfium2.PdfTextPage) -> Iterator[list[Letter]]:
    word: list[Letter] = []
    for number in range(page.count_chars()):
        letter = chr(pdfium.FPDFText_GetUnicode(page, number))
        if _LETTER.match(letter):
            left, _, right, _ = page.get_charbox(number)
            word.append((letter, (left + right) / 2))
        elif word:
            yield word
            word = []
    if word:
        yield word


def _is_turned(word: list[Letter]) -> bool:
    """Whether most letters of a word are to the right of the one before them."""
    steps = [after - before for (_, before), (_, after) in pairwise(word)]
    return sum(step > 0 for step in steps) > sum(step < 0 for step in steps)


def _from_the_end(word: list[Letter]) -> list[Letter]:
    """The letters of a word from the last one, but those that are drawn as one sign, and marks on a letter, in their
    order."""
    groups: list[list[Letter]] = []
    for letter in word:
        if groups and letter[1] == groups[-1][0][1]:
            groups[-1].append(letter)
        else:
            groups.append([letter])
    return [letter for group in reversed(groups) for letter in group]


def _written(word: list[Letter]) -> str:
    return "".join(letter for letter, _ in word)
