"""Word documents (docx)."""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from agentkit_tools.file_text.charts import KINDS, chart_text
from agentkit_tools.file_text.equations import equation
from agentkit_tools.file_text.form import FileText, joined, one_line, row_line
from agentkit_tools.file_text.hidden_styles import with_bases
from agentkit_tools.file_text.imported import imported_text
from agentkit_tools.file_text.package import Package, attribute, child, children, is_off, is_on, local, number_in
from agentkit_tools.file_text.symbols import symbol

_LEFT_OUT = frozenset(("del", "moveFrom", "Fallback", "rt", "instrText", "delText", "rPr", "pPr"))
"""What is deleted, written a second time, or says how a text looks or is read."""

_NO_LEVEL = -1

_CHARACTERS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}


def read_word(path: str, content: bytes) -> FileText:
    """A document's paragraphs, headings, lists, tables, text boxes, notes and comments. Raises UnreadableError."""
    package = Package(content)
    main = package.main_part("word/document.xml")
    styles = list(children(package.xml(_styles_path(package, main)), "style"))
    document = _Document(_heading_levels(styles), _list_styles(styles), _hidden_styles(styles), _Imports(package, main))
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


def _styles_path(package: Package, main: str) -> str:
    return next((target for kind, target in package.targets(main).values() if kind == "styles"), "word/styles.xml")


def _list_styles(styles: Iterable[Any]) -> frozenset[str]:
    """The ids of the styles of lists' items."""
    return frozenset(attribute(style, "styleId") or "" for style in styles if child(style, "pPr", "numPr") is not None)


def _hidden_styles(styles: Iterable[Any]) -> Mapping[str, bool]:
    """Whether the styles that say anything of it hide what is in them, by their ids, also by the style that they are
    based on."""
    based_on, said = dict[str, str](), dict[str, bool]()
    for style in styles:
        number = attribute(style, "styleId") or ""
        based_on[number] = _value(child(style, "basedOn")) or ""
        if (hidden := _vanishes(child(style, "rPr"))) is not None:
            said[number] = hidden
    return with_bases(said, based_on)


def _vanishes(properties: Any) -> bool | None:
    """Whether the properties of a text hide it; None when they don't say."""
    vanish = child(properties, "vanish")
    return None if vanish is None else not is_off(vanish, "val")


def _heading_levels(styles: Iterable[Any]) -> dict[str, int]:
    """The level of each style that is a heading, 0 for the title, by its id. In a translated Word the ids are
    translated, and the names are not."""
    based_on: dict[str, str] = {}
    levels: dict[str, int] = {}
    for style in styles:
        number = attribute(style, "styleId") or ""
        name = (_value(child(style, "name")) or "").lower()
        outline = number_in(_value(child(style, "pPr", "outlineLvl")), _NO_LEVEL)
        if name == "title":
            levels[number] = 0
        elif name.startswith("heading ") and (level := number_in(name[8:], _NO_LEVEL)) != _NO_LEVEL:
            levels[number] = level
        elif 0 <= outline < 9:
            levels[number] = outline + 1
        based_on[number] = _value(child(style, "basedOn")) or ""
    return levels | {style: levels[base] for style, base in based_on.items() if style not in levels and base in levels}


def _value(element: Any) -> str | None:
    return attribute(element, "val") if element is not None else None


class _Document:
    """Reads the blocks of one document. title: the paragraph in the style "Title"."""

    def __init__(
        self, levels: Mapping[str, int], lists: Container[str], hidden: Mapping[str, bool], imports: _Imports
    ) -> None:
        self._levels = levels
        self._lists = lists
        self._hidden = hidden
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
                todo.extend(reversed(_boxes(element, self._hidden)))
            elif name == "tbl":
                yield "\n".join(self._rows(element)), False
            elif name == "chart":
                yield self._imports.chart(attribute(element, "id") or ""), False
            elif name == "altChunk":
                yield self._imports.text(attribute(element, "id") or ""), False
            elif name not in _LEFT_OUT:
                todo.extend(reversed(element))

    def _paragraph(self, element: Any) -> tuple[str, bool]:
        properties = child(element, "pPr")
        style = _value(child(properties, "pStyle")) or ""
        text = _inline(element, self._hidden, style).strip()
        level = self._levels.get(style)
        if level is not None and text:
            line = one_line(text)
            self.title = self.title or (line if level == 0 else "")
            return f"{'#' * min(max(level, 1), 6)} {line}", False
        number = _value(child(properties, "numPr", "numId"))  # "0" takes away the one of its style
        is_item = number != "0" and (child(properties, "numPr") is not None or style in self._lists)
        return (f"- {text}", True) if is_item and text else (text, False)

    def _rows(self, table: Any) -> Iterator[str]:
        """The rows of a table, a row a line; a cell that goes on below is repeated."""
        above: list[str] = []
        for row in _rows_of(table):
            cells = [""] * min(number_in(_value(child(row, "trPr", "gridBefore")), 0), 100)
            for cell in _cells_of(row):
                merged = child(cell, "tcPr", "vMerge")
                goes_on = merged is not None and _value(merged) != "restart" and len(cells) < len(above)
                text = one_line(" ".join(block for block, _ in self._all_blocks(cell)))
                cells.append(above[len(cells)] if goes_on and not text else text)
                cells += [""] * (min(number_in(_value(child(cell, "tcPr", "gridSpan"))), 100) - 1)
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


def _boxes(paragraph: Any, hidden: Mapping[str, bool]) -> list[Any]:
    """The text boxes, charts and imported parts in a paragraph that are not hidden; boxes in `Fallback` are there for
    older programs, a second time."""
    boxes = []
    style = _value(child(paragraph, "pPr", "pStyle")) or ""
    todo = list(reversed(paragraph))
    while todo:
        element = todo.pop()
        if local(element) in ("txbxContent", "altChunk", "chart"):
            boxes.append(element)
        elif local(element) not in _LEFT_OUT and not _is_hidden(element, hidden, style):
            todo.extend(reversed(element))
    return boxes


def _inline(paragraph: Any, hidden: Mapping[str, bool], style: str) -> str:
    """The text of a paragraph, without that of its text boxes. hidden: whether styles hide what is in them. style: of
    the paragraph."""
    parts: list[str] = []
    todo = list(reversed(paragraph))
    while todo:
        element = todo.pop()
        name = local(element)
        if name == "t":
            parts.append(element.text or "")
        elif name == "oMath":
            parts.append(equation(element))
        elif name == "sym":
            parts.append(symbol(attribute(element, "font") or "", attribute(element, "char") or ""))
        elif name in _CHARACTERS:
            parts.append(_CHARACTERS[name])
        elif name == "docPr":
            parts.append(_description(element))
        elif name not in _LEFT_OUT and name != "txbxContent" and not _is_hidden(element, hidden, style):
            todo.extend(reversed(element))
    return "".join(parts)


def _description(element: Any) -> str:
    """What was written about an image."""
    said = one_line(attribute(element, "descr") or "")
    return f"[image: {said}]" if said else ""


def _is_hidden(element: Any, hidden: Mapping[str, bool], style: str) -> bool:
    """Whether a drawing is hidden, or a run: by itself, by its style or, where these don't say, by the style of its
    paragraph."""
    if local(element) != "r":
        drawn = child(element, "docPr") if local(element) in ("anchor", "inline") else None
        return drawn is not None and is_on(drawn, "hidden")
    properties = child(element, "rPr")
    by_itself = _vanishes(properties)
    own = _value(child(properties, "rStyle")) or ""
    return hidden.get(own, hidden.get(style, False)) if by_itself is None else by_itself
