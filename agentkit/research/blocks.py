"""The blocks of a text in Markdown: what begins one, and what stands outside of fenced code."""

import re
from collections.abc import Callable

_FENCE = re.compile(r"(`{3,})[^`]*$|(~{3,})")
_END = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*$")
_BLOCK = re.compile(
    r"(\d{1,9})(?=[.)](?:\s|$))|(?=#{1,6}(?:\s|$)|>|[-+*](?:\s|$)|`{3}|~{3}|=+\s*$|([-_*])(?: ?\2){2,}\s*$)"
)
_DEFINITION = re.compile(r"^([ \t>*+\-\d.)]*+(?:\[)?(?:\\.|[^\[\]\n\\])*+)\]:", re.MULTILINE)


def outside_fences(text: str, change: Callable[[str], str]) -> str:
    """A text, changed outside of fenced code. Code is what stands between fences that begin a line, as every reader of
    Markdown has it: one that is indented may belong to an item, and ends with it."""
    made: list[str] = []
    part: list[str] = []
    fence = ""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if fence:
            made.append(line)
            end = _END.match(line)
            fence = "" if end and end[1].startswith(fence) else fence
            continue
        found = _FENCE.match(line)
        part.append(line)
        if found:
            fence = found[1] or found[2]
            made.append(change("\n".join(part)))
            part = []
    return "\n".join([*made, change("\n".join(part))] if part else made)


def as_paragraph(line: str) -> str:
    """A line that begins no heading, list, quotation, rule or code."""
    found = _BLOCK.match(line)
    return line if found is None else f"{found[1] or ''}\\{line[found.end() :]}"


def inert(text: str) -> str:
    """A text outside of code that has no link, and defines none."""
    return _DEFINITION.sub(r"\1]\:", text.replace("](", "] ("))
