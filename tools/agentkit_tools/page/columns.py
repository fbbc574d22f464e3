"""Puts the text of a page of a PDF in the order of its columns, where the file has it line by line across them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import pypdfium2

from agentkit_tools.page.right_to_left import is_right_to_left

MAX_PIECES = 600
"""Maximum number of pieces of a page that are ordered; the text of each is looked for in the whole page."""

MIN_LINES = 6
"""Minimum number of lines of a column."""


@dataclass(frozen=True)
class Piece:
    """Where a piece of a line is on its page, in points from the lower left corner."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def height(self) -> float:
        """Of its letters."""
        return self.top - self.bottom


def text_by_columns(text: pypdfium2.PdfTextPage) -> str | None:
    """Returns the text of a page column by column, "\\n" between lines; None when it needs no other order than that of
    the file: it has no two columns of running text, or has one after the other."""
    count = text.count_rects()
    if not 2 * MIN_LINES <= count <= MAX_PIECES:
        return None
    pieces = [Piece(*text.get_rect(number)) for number in range(count)]
    gutter = _gutter(pieces)
    if gutter is None or not _is_across(pieces, gutter):
        return None
    if is_right_to_left(str(text.get_text_bounded())):
        ordered = [line[::-1] for line in _ordered(pieces, gutter, right_first=True)]
    else:
        ordered = _ordered(pieces, gutter)
    lines = (
        " ".join(str(text.get_text_bounded(each.left, each.bottom, each.right, each.top)).strip() for each in line)
        for line in ordered
    )
    return "\n".join(line for line in lines if line)


def _gutter(pieces: Sequence[Piece]) -> float | None:
    """Returns the middle of the space between two columns of running text; None when there is none."""
    left, right = min(each.left for each in pieces), max(each.right for each in pieces)
    third = (right - left) / 3
    starts = sorted(each.left for each in pieces if left + third < each.left < right - third)
    for start in starts[:: max(1, len(starts) // 20)]:
        gutter = start - 1
        sides: tuple[list[Piece], list[Piece]] = ([], [])
        for each in pieces:
            if not _crosses(each, gutter):
                sides[each.left > gutter].append(each)
        if all(_is_running(side) for side in sides) and sum(map(len, sides)) > 0.7 * len(pieces):
            return gutter
    return None


def _crosses(piece: Piece, gutter: float) -> bool:
    return piece.left < gutter < piece.right


def _is_running(side: Sequence[Piece]) -> bool:
    """Whether the lines on one side of a page fill it, as those of a text do; the cells of a table are shorter."""
    if len(side) < MIN_LINES:
        return False
    lines = _lines(side)
    width = max(each.right for each in side) - min(each.left for each in side)
    widths = [line[-1].right - line[0].left for line in lines]
    return len(lines) >= MIN_LINES and width > 100 and median(widths) > 0.6 * width


def _is_across(pieces: Sequence[Piece], gutter: float) -> bool:
    """Whether the file goes to and fro between the columns."""
    sides = [each.left > gutter for each in pieces if not _crosses(each, gutter)]
    return sum(one != other for one, other in pairwise(sides)) > 0.25 * len(sides)


def _ordered(pieces: Sequence[Piece], gutter: float, *, right_first: bool = False) -> list[list[Piece]]:
    """Returns the lines of a page: above each one across both columns what both have, the left before the right or the
    other way round."""
    across = _lines([each for each in pieces if _crosses(each, gutter)])
    rest = [each for each in pieces if not _crosses(each, gutter)]
    ordered: list[list[Piece]] = []
    for line in [*across, []]:
        above = [each for each in rest if not line or each.bottom >= line[0].bottom]
        rest = [each for each in rest if line and each.bottom < line[0].bottom]
        columns = ([each for each in above if each.left <= gutter], [each for each in above if each.left > gutter])
        for column in reversed(columns) if right_first else columns:
            ordered += _lines(column)
        ordered += [line] if line else []
    return ordered


def _lines(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Returns pieces by the line they are in, from above, each line from the left."""
    lines: list[list[Piece]] = []
    for each in sorted(pieces, key=lambda piece: -piece.bottom):
        if lines and lines[-1][0].bottom - each.bottom < 0.5 * max(4.0, each.height):
            lines[-1].append(each)
        else:
            lines.append([each])
    return [sorted(line, key=lambda piece: piece.left) for line in lines]
