"""The parts of an answer in Markdown that say something: paragraphs, items and rows; no code, no list of references."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from agentkit.evidence.marks import MARK

LONGEST_LINE = 100_000
"""How much of a line is looked at, in characters."""

_FENCE = re.compile(r"[ \t]{0,12}(`{3,}|~{3,})")
_HEADING = re.compile(r"[ \t]{0,3}#{1,6}[ \t]")
_BOLD_LINE = re.compile(r"[ \t]{0,3}(?:\*\*|__)[^*_\n]{1,120}(?:\*\*|__)[ \t]{0,3}:?[ \t]{0,9}$")
_RULE = re.compile(r"[ \t]{0,3}(?:[-*_=][ \t]{0,3}){3,40}$")
_TABLE_RULE = re.compile(r"[ \t]{0,3}\|?[ \t]{0,3}:?-{2,60}:?[ \t]{0,9}(?:\|[ \t:-]{0,999}){0,99}$")
_ITEM = re.compile(
    r"[ \t]{0,40}(?:>[ \t]{0,3}){0,9}(?:(?:[-*+•·◦]|\d{1,4}[.)])[ \t]{1,9}(?:\[[ xX]\][ \t])?|\d{1,3}、|>)?[ \t]{0,9}"
)
_DEFINITION = re.compile(r"\[\^?[^\]\n]{1,60}\]:")
_ADDRESS = re.compile(r"https?://|www\.")
_LINKED = re.compile(r"\]?\(<?https?://")
_ALONE = re.compile(r"<?https?://")
_SOURCE = re.compile(r"[\s(]\w{1,20}:$")
_LEAST_BEFORE_LINK = 5
"""Words of a sentence that cites by a link; fewer are a title."""
_LAST = re.compile(r"[.!?。！？؟।]\W{0,9}$")


@dataclass(frozen=True)
class Block:
    """A paragraph, an item of a list or a row of a table: its place in the answer."""

    start: int
    end: int


@dataclass(frozen=True)
class _Line:
    """A line of an answer. start, end: its place. text: from there. begin: where its text begins, behind the marker of
    an item or a quotation. is_item: whether it has one."""

    start: int
    end: int
    text: str
    begin: int
    is_item: bool

    @property
    def said(self) -> str:
        return self.text[self.begin - self.start :]


def blocks(answer: str) -> list[Block]:
    """The parts of an answer that say something, in their order."""
    lines = list(_without_references(_without_headings(list(_without_code(_lines(answer))))))
    found: list[Block] = []
    goes_on = False
    for line in lines:
        is_row = line.said.startswith("|")
        if not line.said.strip():
            goes_on = False
        elif goes_on and not line.is_item and not is_row:
            found[-1] = Block(found[-1].start, line.end)
        else:
            found.append(Block(line.begin, line.end))
            goes_on = not is_row
    return found


def _lines(answer: str) -> Iterator[_Line]:
    start = 0
    while start < len(answer):
        end = answer.find("\n", start)
        end = len(answer) if end < 0 else end
        last = min(end, start + LONGEST_LINE)
        marker = _ITEM.match(answer, start, last)
        begin = marker.end() if marker else start
        yield _Line(start, last, answer[start:last], begin, bool(marker and marker.group().strip(" \t>")))
        start = end + 1


def _without_code(lines: Iterator[_Line]) -> Iterator[_Line]:
    """Yield the lines outside of fences; what follows a fence begins a block of its own."""
    fence = ""
    for line in lines:
        mark = _FENCE.match(line.said) or _FENCE.match(line.text)
        if fence:
            if mark and mark[1].startswith(fence) and not line.text.strip(" \t>`~"):
                fence = ""
        elif mark:
            fence = mark[1]
            yield _empty(line)
        else:
            yield line


def _empty(line: _Line) -> _Line:
    return _Line(line.start, line.start, "", line.start, False)


def _is_heading(line: _Line) -> bool:
    if _HEADING.match(line.text):
        return True
    return bool(_BOLD_LINE.match(line.text)) and not (MARK.search(line.text) or _LAST.search(line.text))


def _without_headings(lines: list[_Line]) -> Iterator[_Line]:
    """Yield the lines, empty ones in place of headings, rules, definitions of links and headers of tables."""
    for line, following in zip_longest(lines, lines[1:]):
        is_header = following is not None and "|" in line.text and bool(_TABLE_RULE.match(following.text))
        is_underlined = following is not None and re.match(r"(?:={3,}|-{3,})[ \t]{0,9}$", following.text)
        is_rule = bool(_RULE.match(line.text) or (_TABLE_RULE.match(line.text) and "-" in line.text))
        is_left_out = is_header or is_rule or (bool(is_underlined) and bool(line.text.strip()))
        if (is_left_out and not MARK.search(line.text)) or _is_heading(line) or _DEFINITION.match(line.said):
            yield _Line(line.start, line.start, "#", line.start, False) if _is_heading(line) else _empty(line)
        else:
            yield line


def _without_references(lines: Iterator[_Line]) -> Iterator[_Line]:
    """Yield the lines, without a list of references at the end, and without the marks of headings.

    Such a list is made of lines that begin with a citation mark or have an address. It has a heading, or its
    lines have addresses or do not end as sentences do.
    """
    kept = list(lines)
    end = _begin_of(kept, _is_reference)
    if not (end and (kept[end - 1].text == "#" or _introduces(kept[end - 1].said))):
        end = _begin_of(kept, lambda line: _is_reference(line) and not _cites_by_link(line))
    listed = [line for line in kept[end:] if line.said.strip()]
    has_heading = end > 0 and kept[end - 1].text == "#"
    if listed and (has_heading or all(_ADDRESS.search(each.text) or not _LAST.search(each.text) for each in listed)):
        kept = kept[: end - 1] if end and _introduces(kept[end - 1].said) else kept[:end]
    return (_empty(line) if line.text == "#" else line for line in kept if not _is_entry(line))


def _begin_of(lines: list[_Line], is_reference: Callable[[_Line], bool]) -> int:
    """Where the references at the end begin."""
    end = len(lines)
    while end and (not lines[end - 1].said.strip() or is_reference(lines[end - 1])):
        end -= 1
    return end


def _is_reference(line: _Line) -> bool:
    """Whether a line may be of a list of references: it begins with a mark, or is hardly more than an address."""
    mark = MARK.match(line.said)
    if mark is not None:
        return any(map(str.isalnum, line.said[mark.end() :]))
    address = _ADDRESS.search(line.said)
    said = line.said[: address.start()].rstrip("([<- ") if address else ""
    return address is not None and not _LAST.search(said) and not MARK.search(line.said)


def _cites_by_link(line: _Line) -> bool:
    """Whether a line is a sentence that cites by a link: one with a link in it, or with an address at its end in round
    or angle brackets; outside of lists also one with a link, or "Source:" and an address, behind its full stop."""
    said = line.said
    link = _LINKED.search(said) or _ALONE.search(said)
    if link is None or len(said[: link.start()].split(None, _LEAST_BEFORE_LINK)) < _LEAST_BEFORE_LINK:
        return False
    closing = {"]": "", "(": ")", "<": ">"}.get(link[0][0])
    if closing is not None and _LAST.search(said) and said.rstrip(" \t.!?。！？*_").endswith(closing):
        return True
    return not line.is_item and _is_behind_sentence(said, link)


def _is_behind_sentence(said: str, link: re.Match[str]) -> bool:
    """Whether a link or an address stands behind the end of a sentence: "It fell. [Source](address)"."""
    end = link.start()
    if link[0][0] == "]":
        end = max(0, said.rfind("[", 0, end))
    before = said[:end].rstrip("( ")
    label = _SOURCE.search(before, max(0, len(before) - 22))
    before = before[: label.start()] if label else before
    is_sentence = len(before.split(None, _LEAST_BEFORE_LINK)) >= _LEAST_BEFORE_LINK
    return is_sentence and bool(_LAST.search(before))


def _is_entry(line: _Line) -> bool:
    """Whether a line anywhere is an entry of references: a mark, a title and an address at the end."""
    mark = MARK.match(line.said)
    if mark is None or line.said[mark.end() : mark.end() + 1] == "(":
        return False
    address = _ADDRESS.search(line.said, mark.end())
    return address is not None and len(line.said[address.start() :].split()) == 1


def _introduces(said: str) -> bool:
    """Whether a line may be the heading of references: short, and no sentence."""
    said = said.strip()
    return 0 < len(said) <= 60 and (said.endswith((":", "：")) or not _LAST.search(said)) and not MARK.search(said)
