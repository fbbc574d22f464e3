"""OpenDocument texts, presentations and spreadsheets (odt, odp, ods)."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from agentkit_tools.file_text.form import FileText, joined, one_line, row_line
from agentkit_tools.file_text.hidden_styles import name_hidden_sheets, without_hidden
from agentkit_tools.file_text.links import linked
from agentkit_tools.file_text.package import Package, attribute, child, children, descendants, local, number_in
from agentkit_tools.file_text.tables import table_text
from agentkit_tools.unreadable import UnreadableError

_LEFT_OUT = frozenset(("tracked-changes", "annotation", "forms", "sequence-decls", "ruby-text", "event-listeners"))
_AROUND = tuple(f"{name}{pages}" for name in ("header", "footer") for pages in ("", "-first", "-left"))
"""What stands above and below the pages of a text."""

MAX_REPEATED = 100
"""How often a cell or row with a text may say that it is repeated."""


def read_open_document(path: str, content: bytes) -> FileText:
    """A document's headings, paragraphs, lists, tables and notes, what stands above and below its pages, and comments.
    Raises UnreadableError."""
    package = Package(content)
    if next(descendants(package.xml("meta-inf/manifest.xml"), "encryption-data"), None) is not None:
        raise UnreadableError("it is encrypted")
    content_root = without_hidden(package, package.xml("content.xml"))
    name_hidden_sheets(content_root)
    body = child(content_root, "body")
    if body is None:
        raise UnreadableError("it is damaged")
    title = child(package.xml("meta.xml"), "meta", "title")
    named = one_line(title.text or "") if title is not None else ""
    around = _around(package.xml("styles.xml")) if child(body, "text") is not None else ()
    return FileText(named, joined(chain(_blocks(body), around, _comments(body))))


def _around(styles: Any) -> Iterator[str]:
    """What stands above and below the pages, once each."""
    seen = set[str]()
    for part in descendants(styles, *_AROUND):
        text = joined(_blocks(part), "\n")
        if attribute(part, "display") != "false" and text not in seen and any(map(str.isalpha, text)):
            seen.add(text)
            yield text


def _comments(body: Any) -> Iterator[str]:
    """The comments, each with who has written it."""
    for comment in descendants(body, "annotation"):
        author = child(comment, "creator")
        by = one_line(author.text or "") if author is not None else ""
        if said := one_line(" ".join(_inline(each) for each in descendants(comment, "p"))):
            yield f"Comment of {by}: {said}" if by else f"Comment: {said}"


def _blocks(root: Any) -> Iterator[str]:
    todo: list[Any] = [root]
    while todo:
        element = todo.pop()
        name = local(element)
        if name in ("p", "h"):
            text = _inline(element).strip()
            yield f"{'#' * _level(element)} {one_line(text)}" if name == "h" and text else text
            todo.extend(reversed(_frames(element)))
        elif name == "list":
            yield "\n".join(_items(element))
        elif name == "table":
            yield from _table(element)
        elif name == "page":
            yield f"## {attribute(element, 'name') or 'Slide'}"
            todo.extend(reversed(element))
        elif name == "notes":
            texts = [_inline(each) for each in descendants(element, "p")]
            yield f"Notes: {one_line(' '.join(texts))}" if any(texts) else ""
        elif name not in _LEFT_OUT:
            todo.extend(reversed(element))


def _level(heading: Any) -> int:
    return min(max(number_in(attribute(heading, "outline-level")), 1), 6)


def _items(root: Any) -> Iterator[str]:
    """The items of a list, a paragraph a line, indented by their depth."""
    todo = [(each, 0) for each in reversed(root)]
    while todo:
        element, depth = todo.pop()
        if local(element) in ("p", "h"):
            text = one_line(_inline(element))
            if text:
                yield f"{'  ' * min(depth, 10)}- {text}"
        elif local(element) not in _LEFT_OUT:
            todo.extend((each, depth + (local(element) == "list")) for each in reversed(element))


def _table(table: Any) -> Iterator[str]:
    """A table of a spreadsheet with its name and the names of its columns in each row; one of a text a row a line."""
    rows = (row for each in descendants(table, "table-row") for row in [_cells(each)] * _repeated(each, "rows"))
    parent = table.getparent()
    if parent is not None and local(parent) == "spreadsheet":
        yield f"## {attribute(table, 'name') or 'Table'}"
        yield from table_text(rows)
    else:
        yield "\n".join(filter(None, map(row_line, rows)))


def _cells(row: Any) -> list[str]:
    cells: list[str] = []
    for cell in children(row, "table-cell", "covered-table-cell"):
        text = one_line(" ".join(_inline(each) for part in cell for each in _paragraphs(part)))
        cells += [text] * (_repeated(cell, "columns") if text else min(_repeated(cell, "columns"), MAX_REPEATED))
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _paragraphs(part: Any) -> Iterator[Any]:
    """The paragraphs in a part of a cell, which may be a remark on it."""
    return (each for each in part.iter() if local(each) in ("p", "h")) if local(part) not in _LEFT_OUT else iter(())


def _repeated(element: Any, what: str) -> int:
    return min(number_in(attribute(element, f"number-{what}-repeated")), MAX_REPEATED)


def _frames(paragraph: Any) -> list[Any]:
    """The text boxes in a paragraph, and the tables in them."""
    frames = []
    todo = list(reversed(paragraph))
    while todo:
        element = todo.pop()
        if local(element) == "text-box":
            frames.append(element)
        elif local(element) not in _LEFT_OUT:
            todo.extend(reversed(element))
    return frames


def _inline(paragraph: Any) -> str:
    """The text of a paragraph with its notes in brackets, without its text boxes."""
    parts: list[str] = [paragraph.text or ""]
    todo: list[Any] = list(reversed(paragraph))
    while todo:
        element = todo.pop()
        if isinstance(element, str):
            parts.append(element)
            continue
        todo.append(element.tail or "")
        name = local(element)
        if name == "a":
            parts.append(linked(_inline(element), attribute(element, "href") or ""))
        elif name == "s":
            parts.append(" " * min(number_in(attribute(element, "c")), 100))
        elif name in ("tab", "line-break"):
            parts.append("\t" if name == "tab" else "\n")
        elif name == "note":
            notes = [one_line("".join(each.itertext())) for each in children(element, "note-body")]
            parts.append(f" ({' '.join(notes)})")
        elif name and name not in _LEFT_OUT and name != "text-box":
            parts.append(element.text or "")
            todo.extend(reversed(element))
    return "".join(parts)
