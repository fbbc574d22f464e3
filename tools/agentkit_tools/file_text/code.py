"""Source code: its passages are functions and classes, or groups of them, as they stand in the file."""

import re

from agentkit_tools.file_text.form import FileText
from agentkit_tools.file_text.texts import decoded

PASSAGE, ENOUGH = 1_200, 500
"""Maximum length of a passage, and that from which one ends before the next function, in characters."""


def read_code(path: str, content: bytes) -> FileText:
    """A file of source code. Raises UnreadableError when it is binary."""
    text = decoded(path, content)
    return FileText("", text, passages_of_code(text))


def passages_of_code(text: str) -> list[str]:
    """Splits code before what begins at the margin behind a blank line, else at a blank line, else at a line's end;
    joined, the passages are the text."""
    passages: list[str] = []
    for block in _blocks(text):
        begins_anew = not block[:1].isspace()
        if passages and len(passages[-1]) + len(block) <= PASSAGE and not (begins_anew and len(passages[-1]) >= ENOUGH):
            passages[-1] += block
        else:
            passages += _pieces(block)
    return passages


def _blocks(text: str) -> list[str]:
    """The parts between blank lines, each with those behind it."""
    parts = [*re.split(r"(\n[ \t\r]*+\n(?:[ \t]*+[\n\r\f\v])*+(?=[ \t]*+\S)|\n\s*+\Z)", text), ""]
    return [each for each in map("".join, zip(parts[::2], parts[1::2], strict=True)) if each]


def _pieces(block: str) -> list[str]:
    """Splits a long part at the ends of its lines, and a very long line anywhere."""
    pieces, start = [], 0
    while len(block) - start > PASSAGE:
        end = block.rfind("\n", start, start + PASSAGE) + 1
        end = end if end > start else start + PASSAGE
        pieces.append(block[start:end])
        start = end
    return [*pieces, block[start:]]
