"""Reads Markdown, reStructuredText and plain text as passages that can be quoted: without markup, code as it is."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agentkit.retrieval.inline_markup import without_markup
from agentkit.retrieval.sentences import sentences

MAX_CODE_LINES = 15
"""Code is quoted in pieces of at most so many lines."""


@dataclass(frozen=True)
class Unit:
    """What is quoted as a whole. is_sentence: whether it is one of running text, and no list item, row or code."""

    text: str
    is_sentence: bool = True


@dataclass
class Passage:
    """A paragraph, or a list, a table or code with the sentence that introduces it. context: the headings above it."""

    units: list[Unit]
    context: str = ""

    @property
    def text(self) -> str:
        """All of its units."""
        return " ".join(unit.text for unit in self.units)


def passages_in(text: str) -> list[Passage]:
    """The passages of a text."""
    reader = _Reader()
    for block in _blocks(text.replace("\r\n", "\n").split("\n")):
        reader.take(block)
    return reader.passages


@dataclass(frozen=True)
class _Block:
    """Lines that belong together. kind: "heading", "code" or "text". level: of a heading, from 1."""

    kind: str
    lines: Sequence[str]
    level: int = 0


@dataclass
class _Reader:
    """Makes passages of blocks."""

    passages: list[Passage] = field(default_factory=list)
    _headings: dict[int, str] = field(default_factory=dict)

    def take(self, block: _Block) -> None:
        if block.kind == "heading":
            kept = {level: text for level, text in self._headings.items() if level < block.level}
            self._headings = kept | {block.level: without_markup(" ".join(block.lines))}
        elif block.kind == "code":
            self._add([Unit(piece, is_sentence=False) for piece in _code_pieces(block.lines)])
        elif units := list(_units(block.lines)):
            first = units[0]
            if len(units) == 1 and first.is_sentence and _is_plain_heading(first.text):
                self.take(_Block("heading", [first.text], 9))
            else:
                self._add(units)

    def _add(self, units: Sequence[Unit]) -> None:
        last = self.passages[-1] if self.passages else None
        context = " ".join(self._headings.values())
        if not units:
            return
        if units[0].is_sentence:
            self.passages.append(Passage(list(units), context))
        elif last and last.context == context and _introduces(last):
            last.units.extend(units)
        else:
            self.passages.extend(Passage([unit], context) for unit in units)


def _introduces(passage: Passage) -> bool:
    """Whether the list or code behind a passage belongs to it: behind a colon, as do the next items of such a list."""
    return passage.units[0].is_sentence and (
        not passage.units[-1].is_sentence or passage.units[-1].text.endswith((":", "："))
    )


def _is_plain_heading(text: str) -> bool:
    """Whether a paragraph of its own is a heading: short, and without a mark behind it. Thai has no marks: there the
    spaces between clauses tell a text from a heading."""
    if len(text) > 80 or text[-1] in '.!?…:;,"”’»)。！？；，、：」』）।؟۔|' or _DEFINITION.match(text):
        return False
    return not _CLAUSES_OF_THAI.search(text)


def _code_pieces(lines: Sequence[str]) -> Iterator[str]:
    """Code in pieces that end at empty lines where possible."""
    piece: list[str] = []
    for line in [*lines, ""]:
        if piece and (len(piece) >= MAX_CODE_LINES or (not line.strip() and len(piece) > MAX_CODE_LINES // 2)):
            yield _dedented(piece)
            piece = []
        if line.strip() or piece:
            piece.append(line)
    if any(line.strip() for line in piece):
        yield _dedented(piece)


def _dedented(lines: Sequence[str]) -> str:
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    text = "\n".join(line[indent:].rstrip() for line in lines).strip("\n")
    return text if "\n" in text else f"`{text}`"


_ITEM = re.compile(r"\A[ \t]*(?:[-*+•·–]|\d{1,3}[.)]|#\.)[ \t]+(?=\S)")
_DEFINITION = re.compile(
    r"(?:-{1,2}[A-Za-z][\w-]*|[^\s.!?。！？:：|](?:[^.!?。！？:：|\n]{0,40}\S)?(?:: |：)|[^\n|]{1,40}\t)"
)
_CLAUSES_OF_THAI = re.compile(r"[\u0e00-\u0eff] (?=\S)")
_OPTION = re.compile(r"[ \t]*-{1,2}[A-Za-z?][\w-]*(?:[ ,=\t]|$)|[ \t]*\S[^\n]{0,40}?\S(?:[ \t]{3,}|\t)\S")
_RULE_OF_TABLE = re.compile(r"[ \t]*[|+:=-][-|+:= \t]*$")
_DEFINED = re.compile(r":[ \t]+(?=\S)")


def _units(lines: Sequence[str]) -> Iterator[Unit]:
    """What can be quoted of lines without an empty one between them."""
    running: list[str] = []
    is_item = False
    header: list[str] = []
    stand_alone = len(lines) > 1 and sum(map(_is_definition, lines)) * 2 > len(lines)
    for place, line in enumerate(lines):
        if _RULE_OF_TABLE.match(line):
            continue
        if _is_row(line):
            if place + 1 < len(lines) and not header and _RULE_OF_TABLE.match(lines[place + 1]):
                header = _cells(line)
            else:
                yield Unit(_row(_cells(line), header), is_sentence=False)
        elif _ITEM.match(line) or (stand_alone and _is_definition(line)):
            yield from _closed(running, is_item)
            running, is_item = [_ITEM.sub("", line, count=1)], True
        elif defined := _DEFINED.match(line):  # below its term
            running, is_item = [*running, "— " + line[defined.end() :]], True
        else:
            running.append(line)
    yield from _closed(running, is_item)


def _is_definition(line: str) -> bool:
    return bool(_OPTION.match(line) or _DEFINITION.match(line))


def _is_row(line: str) -> bool:
    stripped = line.strip()
    return len(stripped) > 2 and stripped[0] == stripped[-1] == "|"


def _cells(line: str) -> list[str]:
    return [without_markup(cell) for cell in line.strip()[1:-1].split("|")]


def _row(cells: Sequence[str], header: Sequence[str]) -> str:
    """A row of a table in one line, each cell with the head of its column."""
    if len(cells) != len(header):
        return " | ".join(cells)
    return " | ".join(f"{head}: {cell}" if head else cell for head, cell in zip(header, cells, strict=True))


def _closed(lines: Sequence[str], is_item: bool) -> Iterator[Unit]:
    text = without_markup(" ".join(" ".join(lines).split()))
    if is_item and text:
        yield Unit(text, is_sentence=False)
    elif text:
        yield from map(Unit, sentences(text))


_FENCE = re.compile(r"[ \t]*(```+|~~~+)")
_MARKED_HEADING = re.compile(r"(#{1,6})[ \t]+(\S.*)")
_UNDERLINE = re.compile(r"([=\-~^\"'*+#.:`_])\1{2,}[ \t]*$")
_DIRECTIVE = re.compile(r"[ \t]*\.\.[ \t]+(?:([\w:-]+)::|(?=\S))[ \t]*(.*)$")
_FIELD = re.compile(r"[ \t]+:[\w-]+:(?:[ \t]|$)")
_CODE = frozenset(("code", "code-block", "sourcecode", "parsed-literal", "doctest", "prompt", "testcode", "ipython"))
_SPEAKING = frozenset(
    (
        *("note", "warning", "tip", "important", "hint", "caution", "danger", "attention", "error", "admonition"),
        *("seealso", "topic", "sidebar", "versionadded", "versionchanged", "deprecated", "rubric", "epigraph"),
        *("glossary", "table"),
    )
)
_SESSION = re.compile(r"[ \t]*(?:>>> |\$ \S|C:\\>)")


class _Lines:
    """Lines, read one after the other."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self.place = 0

    def __bool__(self) -> bool:
        return self.place < len(self._lines)

    def peek(self, ahead: int = 0) -> str:
        place = self.place + ahead
        return self._lines[place] if place < len(self._lines) else ""

    def next(self) -> str:
        line = self.peek()
        self.place += 1
        return line

    def indented(self, indent: int) -> list[str]:
        """The lines that follow and are empty or further indented than this."""
        found = []
        while self and (not self.peek().strip() or _indent(self.peek()) > indent):
            found.append(self.next())
        return found

    def until(self, fence: str) -> list[str]:
        """The lines before one that begins with this; that one is read too."""
        found = []
        while self and not self.peek().lstrip().startswith(fence):
            found.append(self.next())
        self.next()
        return found


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _blocks(all_lines: Sequence[str]) -> Iterator[_Block]:
    lines = _Lines(all_lines)
    if lines.peek().strip() == "---" and any(line.strip() == "---" for line in all_lines[1:60]):  # front matter
        lines.next()
        lines.until("---")
    text: list[str] = []
    while lines:
        line = lines.peek()
        if block := _special(lines, text):
            yield _Block("text", text)
            text = []
            yield from block
        elif not line.strip():
            yield _Block("text", text)
            text = []
            lines.next()
        else:
            text.append(lines.next())
    yield _Block("text", text)


def _special(lines: _Lines, before: list[str]) -> list[_Block]:
    """The blocks that begin at a line which is not running text; none for one that is. before: the text above it, from
    which a heading is taken away."""
    line = lines.peek()
    if fence := _FENCE.match(line):
        lines.next()
        return [_Block("code", lines.until(fence[1]))]
    if heading := _MARKED_HEADING.match(line):
        lines.next()
        return [_Block("heading", [heading[2].rstrip("# \t")], len(heading[1]))]
    if len(before) <= 1 and (underline := _UNDERLINE.match(line)):
        lines.next()
        heading_lines = [before.pop()] if before else []
        return (
            [_Block("heading", heading_lines, 1 + "=-~^\"'*+#.:`_".index(underline[1]))] if heading_lines else [_NONE]
        )
    if directive := _DIRECTIVE.match(line):
        return _of_directive(lines, directive[1] or "", directive[2])
    if _SESSION.match(line) and not before:
        found = []
        while lines.peek().strip():
            found.append(lines.next())
        return [_Block("code", found)]
    return _literal(lines, before)


_NONE = _Block("text", ())


def _of_directive(lines: _Lines, name: str, argument: str) -> list[_Block]:
    """The blocks of a directive of reStructuredText, or of a comment."""
    indent = _indent(lines.next())
    body = lines.indented(indent)
    while body and (_FIELD.match(body[0])):
        body = body[1:]
    if name in _CODE:
        return [_Block("code", body)]
    is_about = name.rpartition(":")[2] in ("function", "class", "method", "option", "attribute", "data", "module")
    if not (is_about or name in _SPEAKING):
        return [_NONE]
    dedented = [line[min(map(_indent, filter(str.strip, body)), default=0) :] for line in body]
    head = [_Block("heading", [argument], 10)] if is_about else [_Block("text", [argument])]
    return [*head, *_blocks(dedented)]


def _literal(lines: _Lines, before: list[str]) -> list[_Block]:
    """The code below a paragraph that ends with "::"."""
    if lines.peek().strip() or not before or not before[-1].rstrip().endswith("::"):
        return []
    body = lines.indented(_indent(before[-1]))
    if not any(map(str.strip, body)):
        return []
    intro = [*before[:-1], before[-1].rstrip()[:-1]]
    before.clear()
    return [_Block("text", intro), _Block("code", body)]
