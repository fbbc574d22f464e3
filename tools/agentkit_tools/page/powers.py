"""Raised numbers in a PDF: its text has "10" and a small "9" above the line as "109"."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pypdfium2
import pypdfium2.raw as pdfium

_MAY_BE_RAISED = re.compile(r"[\d)][\d+\u2212-]|(?<![^\W_])[^\W\d_]{1,2}[\d\u2212-]")
_SIGNS = "+-\u2212"
RAISED = 0.25
"""How far above the foot of a digit another one stands that is raised, as a part of the first one's height."""
RAISED_SIGN = 0.62
"""The same for the middle of a sign."""


@dataclass(frozen=True)
class Sign:
    """A character of a page, its foot and its height in points."""

    character: str
    bottom: float
    height: float


def with_powers(text: str, page: pypdfium2.PdfTextPage) -> str:
    """A text of a page with "^" before numbers that are raised behind a number, a bracket or one or two letters:
    "10^9", "m^2". A row of characters that stands there with and without stays as it is."""
    if not _MAY_BE_RAISED.search(text):
        return text
    marked: dict[str, str] = {}
    plain = Counter[str]()
    for row in _rows(page):
        written = "".join(sign.character for sign in row)
        with_mark = _marked(row) if _MAY_BE_RAISED.search(written) else written
        if with_mark == written:
            plain[written] += 1
        else:
            marked[written] = with_mark
    found = {written: with_mark for written, with_mark in marked.items() if not plain[written]}
    return re.sub(r"\S+", lambda each: found.get(each[0], each[0]), text) if found else text


def _rows(page: pypdfium2.PdfTextPage) -> Iterator[list[Sign]]:
    """The rows of characters between spaces. Only those that may have raised numbers are measured."""
    row: list[tuple[int, str]] = []
    for number in range(page.count_chars() + 1):
        character = chr(pdfium.FPDFText_GetUnicode(page, number)) if number < page.count_chars() else " "
        if not character.isspace() and character != "\0":
            row.append((number, character))
        elif row:
            is_measured = _MAY_BE_RAISED.search("".join(each for _, each in row)) is not None
            yield [_sign(page, *each) if is_measured else Sign(each[1], 0, 0) for each in row]
            row = []


def _sign(page: pypdfium2.PdfTextPage, number: int, character: str) -> Sign:
    _, bottom, _, top = page.get_charbox(number)
    return Sign(character, bottom, top - bottom)


def _marked(row: Sequence[Sign]) -> str:
    """The characters of a row, with "^" before those that are raised."""
    made: list[str] = []
    base: Sign | None = None
    for number, sign in enumerate(row):
        if base is not None and _is_raised(row[number : number + 2], base):
            made.append(f"^{sign.character}" if row[number - 1] is base else sign.character)
        else:
            made.append(sign.character)
            base = sign if _is_base(row, number) else None
    return "".join(made)


def _is_base(row: Sequence[Sign], number: int) -> bool:
    """Whether a number that is raised behind a character is a power: of a digit, a bracket or the last of at most two
    letters. (Behind a word it is the mark of a note.)"""
    character = row[number].character
    if not character.isalpha():
        return character.isdigit() or character == ")"
    before = [sign.character for sign in row[max(0, number - 2) : number]]
    return len(before) < 2 or not all(map(str.isalpha, before))


def _is_raised(signs: Sequence[Sign], base: Sign) -> bool:
    """Whether the first of these is a raised digit, or a raised sign before one."""
    sign = signs[0]
    if base.height <= 0:
        return False
    if sign.character in _SIGNS:
        is_high = sign.bottom + sign.height / 2 > base.bottom + RAISED_SIGN * base.height
        return is_high and signs[-1].character.isdigit() and _is_raised(signs[1:], base)
    least = RAISED if base.character.isdigit() else RAISED + 0.1
    return sign.character.isdigit() and sign.bottom > base.bottom + least * base.height
