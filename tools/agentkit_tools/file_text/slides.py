"""PowerPoint presentations (pptx)."""

from collections.abc import Iterator, Mapping
from typing import Any

from agentkit_tools.file_text.charts import KINDS, chart_text
from agentkit_tools.file_text.drawings import drawn_paragraphs
from agentkit_tools.file_text.form import FileText, joined, one_line, row_line
from agentkit_tools.file_text.package import (
    Package,
    attribute,
    child,
    children,
    descendants,
    is_off,
    is_on,
    local,
    undamaged,
)

_LEFT_OUT = frozenset(("Fallback", "extLst"))
_FIELDS = frozenset(("sldNum", "dt", "ftr", "hdr", "sldImg"))
"""Placeholders for the number, the date and the like."""


def read_slides(path: str, content: bytes) -> FileText:
    """A presentation's slides in their order, each with its tables, the speaker's notes and comments; damaged ones are
    named. Raises UnreadableError."""
    package = Package(content)
    main = package.main_part("ppt/presentation.xml")
    targets = package.targets(main)
    paths = [_target(each, targets) for each in descendants(package.xml(main), "sldId")]
    slides = [path for path in paths if path in package] or package.paths("ppt/slides/slide", ".xml")
    titles: list[str] = []
    text = joined(undamaged(enumerate(slides, 1), lambda slide: _slide(package, *slide, titles)))
    return FileText(titles[0] if titles else "", text)


def _target(slide: Any, targets: dict[str, tuple[str, str]]) -> str:
    """The path of a slide, by the id of its relationship."""
    values = (value for key, value in slide.attrib.items() if key.endswith("}id"))
    return targets.get(next(values, ""), ("", ""))[1]


def _slide(package: Package, number: int, path: str, titles: list[str]) -> str:
    """The text of a slide, whose title is added to those of the others; "" of one that is hidden."""
    root = package.xml(path)
    if is_off(root, "show"):
        return ""
    title, blocks = _blocks(root, package.links(path))
    titles += [title] if title else []
    head = f"## Slide {number}: {title}" if title else f"## Slide {number}"
    notes: list[str] = []
    for kind, target in package.targets(path).values():
        if kind == "diagramData":
            blocks.append("\n".join(drawn_paragraphs(package.xml(target))))
        elif kind in KINDS:
            blocks.append(chart_text(package, target))
        elif kind == "notesSlide":
            notes += [f"Notes: {each}" for each in _blocks(package.xml(target))[1] if each]
        elif kind == "comments":
            notes += [f"Comment: {each}" for each in _comments(package.xml(target))]
    return joined([head, *blocks, *notes])


def _comments(root: Any) -> Iterator[str]:
    """The comments on a slide, as PowerPoint wrote them up to 2021 (`text`) and writes them (`txBody`)."""
    for comment in descendants(root, "cm", "reply"):
        said = child(comment, "text")
        body = child(comment, "txBody")
        text = (said.text or "") if said is not None else " ".join(drawn_paragraphs(body)) if body is not None else ""
        if text.strip():
            yield one_line(text)


def _blocks(root: Any, links: Mapping[str, str] | None = None) -> tuple[str, list[str]]:
    """The title of a slide, and the text of each of its other shapes, tables a row a line. links: its addresses, by
    their ids."""
    title, blocks = "", []
    todo = list(reversed(root))
    while todo:
        element = todo.pop()
        name = local(element)
        if _is_hidden(element):
            continue
        if name == "sp":
            kind = _placeholder(element)
            if kind in ("title", "ctrTitle") and not title:
                title = one_line("\n".join(drawn_paragraphs(element)))
            elif kind not in _FIELDS:
                blocks.append("\n".join(drawn_paragraphs(element, links)))
        elif name == "tbl":
            blocks.append("\n".join(_rows(element, links)))
        elif name == "pic":
            blocks.append(_description(element))
        elif name not in _LEFT_OUT:
            blocks.append(_description(element) if name == "graphicFrame" else "")
            todo.extend(reversed(element))
    return title, blocks


def _is_hidden(shape: Any) -> bool:
    """Whether a shape, a picture, a table or a group of them is hidden."""
    properties = (child(each, "cNvPr") for each in shape if local(each).startswith("nv"))
    return any(each is not None and is_on(each, "hidden") for each in properties)


def _placeholder(shape: Any) -> str:
    found = next(descendants(shape, "ph"), None)
    return "" if found is None else attribute(found, "type") or "body"


def _description(picture: Any) -> str:
    """What was written about an image, a chart or the like."""
    kind = next((each for each in picture if local(each).startswith("nv")), None)
    properties = child(kind, "cNvPr")
    said = one_line(attribute(properties, "descr") or "") if properties is not None else ""
    return f"[image: {said}]" if said else ""


def _rows(table: Any, links: Mapping[str, str] | None) -> Iterator[str]:
    """The rows of a table, a row a line; a cell that goes on below is repeated."""
    above: list[str] = []
    for row in children(table, "tr"):
        cells: list[str] = []
        for cell in children(row, "tc"):
            goes_on = is_on(cell, "vMerge") and len(cells) < len(above)
            cells.append(above[len(cells)] if goes_on else one_line(" ".join(drawn_paragraphs(cell, links))))
        above = cells
        if line := row_line(cells):
            yield line
