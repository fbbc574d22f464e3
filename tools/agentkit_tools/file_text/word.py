"""Word documents (docx)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agentkit_tools.file_text.charts import KINDS, chart_text
from agentkit_tools.file_text.drawings import drawn_paragraphs
from agentkit_tools.file_text.form import FileText, joined, one_line, row_line
from agentkit_tools.file_text.hidden_styles import with_bases
from agentkit_tools.file_text.imported import imported_text
from agentkit_tools.file_text.numbering import BULLET, Numbering
from agentkit_tools.file_text.package import Package, attribute, child, children, is_off, local, number_in
from agentkit_tools.file_text.word_text import BOXES, LEFT_OUT, WordTexts, value, vanishes

_NO_LEVEL = -1


def read_word(path: str, content: bytes) -> FileText:
    """A document's paragraphs, headings, lists, tables, text boxes, notes and comments. Raises UnreadableError."""
    package = Package(content)
    main = package.main_part("word/document.xml")
    styles = list(children(package.xml(_path_of(package, main, "styles")), "style"))
    numbering = Numbering(package.xml(_path_of(package, main, "numbering")), styles)
    texts = WordTexts(_hidden_styles(styles), package.links(main))
    document = _Document(_heading_levels(styles), numbering, texts, _Imports(package, main))
    parts = [*document.blocks(child(package.xml(main), "body")), *_notes(package, main, document)]
    title = child(package.xml("docprops/core.xml"), "title")
    named = (title.text if title is not None else "") or ""
    return FileText(document.title or one_line(named), joined(parts))


def _notes(package: Package, main: str, document: "_Document") -> Iterator[str]:
    """The footnotes, the endnotes, what stands above and below the pages, and the comments, once each."""
    seen: set[str] = set()
    kinds = ("footnotes", "endnotes", "header", "footer", "comments")
    found = [(kind, target) for kind, target in package.targets(main).values() if kind in kinds]
    for _, target in sorted(found, key=lambda each: kinds.index(each[0])):
        root = package.xml(target)
        document.texts.links = package.links(target)
        for note in list(children(root, "footnote", "endnote", "comment")) or [root]:
            text = _by(note) + "\n".join(document.blocks(note)).strip()
            if text not in seen and any(map(str.isalpha, text)):
                seen.add(text)
                yield text


def _by(note: Any) -> str:
    """Who has written a comment, before it."""
    author = one_line(attribute(note, "author") or "")
    return "" if local(note) != "comment" else f"Comment of {author}: " if author else "Comment: "


class _Imports:
    """The texts of the parts that a document shows or imports, by the ids of their relationships."""

    def __init__(self, package: Package, main: str) -> None:
        self._package = package
        self._targets = package.targets(main)

    def text(self, number: str) -> str:
        _, target = self._targets.get(number, ("", ""))
        content = self._package.read(target)
        return imported_text(target, content) if content else ""

    def chart(self, number: str) -> str:
        kind, target = self._targets.get(number, ("", ""))
        return chart_text(self._package, target) if kind in KINDS else ""

    def diagram(self, number: str) -> str:
        kind, target = self._targets.get(number, ("", ""))
        return "\n".join(drawn_paragraphs(self._package.xml(target))) if kind == "diagramData" else ""


def _path_of(package: Package, main: str, kind: str) -> str:
    return next((target for each, target in package.targets(main).values() if each == kind), f"word/{kind}.xml")


def _hidden_styles(styles: Iterable[Any]) -> Mapping[str, bool]:
    """Whether the styles that say anything of it hide what is in them, by their ids, also by the style that they are
    based on."""
    based_on, said = dict[str, str](), dict[str, bool]()
    for style in styles:
        number = attribute(style, "styleId") or ""
        based_on[number] = value(child(style, "basedOn")) or ""
        if (hidden := vanishes(child(style, "rPr"))) is not None:
            said[number] = hidden
    return with_bases(said, based_on)


def _heading_levels(styles: Iterable[Any]) -> dict[str, int]:
    """The level of each style that is a heading, 0 for the title, by its id. In a translated Word the ids are
    translated, and the names are not."""
    based_on: dict[str, str] = {}
    levels: dict[str, int] = {}
    for style in styles:
        number = attribute(style, "styleId") or ""
        name = (value(child(style, "name")) or "").lower()
        outline = number_in(value(child(style, "pPr", "outlineLvl")), _NO_LEVEL)
        if name == "title":
            levels[number] = 0
        elif name.startswith("heading ") and (level := number_in(name[8:], _NO_LEVEL)) != _NO_LEVEL:
            levels[number] = level
        elif 0 <= outline < 9:
            levels[number] = outline + 1
        based_on[number] = value(child(style, "basedOn")) or ""
    return levels | {style: levels[base] for style, base in based_on.items() if style not in levels and base in levels}


class _Document:
    """Reads the blocks of one document. title: the paragraph in the style "Title"."""

    def __init__(self, levels: Mapping[str, int], numbering: Numbering, texts: WordTexts, imports: _Imports) -> None:
        self.texts = texts
        self._levels = levels
        self._numbering = numbering
        self._imports = imports
        self.title = ""

    def blocks(self, root: Any) -> Iterator[str]:
        """The paragraphs and tables below an element, each followed by the text boxes in it; adjacent items of a list
        are one block."""
        items: list[str] = []
        for block, is_item in self._all_blocks(root):
            if items and not is_item:
                yield "\n".join(items)
                items = []
            if is_item:
                items.append(block)
            else:
                yield block
        yield "\n".join(items)

    def _all_blocks(self, root: Any) -> Iterator[tuple[str, bool]]:
        todo = [] if root is None else list(reversed(root))
        while todo:
            element = todo.pop()
            name = local(element)
            if name == "p":
                yield self._paragraph(element)
                todo.extend(reversed(_boxes(element, self.texts)))
            elif name == "tbl":
                yield "\n".join(self._rows(element)), False
            elif name == "chart":
                yield self._imports.chart(attribute(element, "id") or ""), False
            elif name == "relIds":
                yield self._imports.diagram(attribute(element, "dm") or ""), False
            elif name == "altChunk":
                yield self._imports.text(attribute(element, "id") or ""), False
            elif name not in LEFT_OUT:
                todo.extend(reversed(element))

    def _paragraph(self, element: Any) -> tuple[str, bool]:
        properties = child(element, "pPr")
        style = value(child(properties, "pStyle")) or ""
        text = self.texts.inline(element, style).strip()
        mark = self._numbering.mark(properties, style) if text or not _is_deleted(properties) else ""
        level = self._levels.get(style)
        if level is not None and text:
            line = one_line(text)
            self.title = self.title or (line if level == 0 else "")
            return f"{'#' * min(max(level, 1), 6)} {line if mark in ('', BULLET) else f'{mark} {line}'}", False
        return (f"{mark} {text}", True) if mark and text else (text, False)

    def _rows(self, table: Any) -> Iterator[str]:
        """The rows of a table, a row a line; a cell that goes on below is repeated."""
        above: list[str] = []
        for row in _rows_of(table):
            cells = [""] * min(number_in(value(child(row, "trPr", "gridBefore")), 0), 100)
            for cell in _cells_of(row):
                merged = child(cell, "tcPr", "vMerge")
                goes_on = merged is not None and value(merged) != "restart" and len(cells) < len(above)
                text = one_line(" ".join(block for block, _ in self._all_blocks(cell)))
                cells.append(above[len(cells)] if goes_on and not text else text)
                cells += [""] * (min(number_in(value(child(cell, "tcPr", "gridSpan"))), 100) - 1)
            above = cells
            if line := row_line(cells):
                yield line


def _rows_of(table: Any) -> Iterator[Any]:
    """The rows of a table that are neither deleted nor hidden, without those of tables in it."""
    rows = (row for each in table for row in _through(each, "tr"))
    return (row for row in rows if child(row, "trPr", "del") is None and not _vanishes_with(child(row, "trPr")))


def _vanishes_with(properties: Any) -> bool:
    """Whether the properties of a row hide it."""
    hidden = child(properties, "hidden")
    return hidden is not None and not is_off(hidden, "val")


def _cells_of(row: Any) -> Iterator[Any]:
    return (cell for each in row for cell in _through(each, "tc"))


def _through(element: Any, name: str) -> Iterator[Any]:
    """An element of this name, or those in a content control around them."""
    if local(element) == name:
        yield element
    elif local(element) in ("sdt", "sdtContent", "ins", "customXml"):
        for each in element:
            yield from _through(each, name)


def _is_deleted(properties: Any) -> bool:
    """Whether the end of a paragraph is deleted: without a text it is no paragraph any more."""
    return child(properties, "rPr", "del") is not None


def _boxes(paragraph: Any, texts: WordTexts) -> list[Any]:
    """The text boxes, charts, diagrams and imported parts in a paragraph that are not hidden; boxes in `Fallback` are
    there for older programs, a second time."""
    boxes = []
    style = value(child(paragraph, "pPr", "pStyle")) or ""
    todo = list(reversed(paragraph))
    while todo:
        element = todo.pop()
        if local(element) in BOXES:
            boxes.append(element)
        elif local(element) not in LEFT_OUT and not texts.is_hidden(element, style):
            todo.extend(reversed(element))
    return boxes
