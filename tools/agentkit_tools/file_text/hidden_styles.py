"""What styles hide, also by those that they are based on; and taking it out of OpenDocument files."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, TypeVar

from agentkit_tools.file_text.package import Package, attribute, child, children

K = TypeVar("K", bound=Hashable)

MOST_BASES = 10
"""How many styles are looked at on which a style is based, each on the next."""

_FAMILIES = {"p": "paragraph", "h": "paragraph", "span": "text", "page": "drawing-page"}
"""The family of the style of an element."""


def with_bases(said: Mapping[K, bool], based_on: Mapping[K, K]) -> dict[K, bool]:
    """Whether styles hide what is in them. said: of those that say it themselves. based_on: the style on which each is
    based."""
    found = dict(said)
    for style in based_on:
        base = style
        for _ in range(MOST_BASES):
            if base in said or base not in based_on:
                break
            base = based_on[base]
        if base in said:
            found[style] = said[base]
    return found


def without_hidden(package: Package, content: Any) -> Any:
    """The root element of an OpenDocument file's content, without hidden slides, sections, paragraphs and texts."""
    hidden = _hidden_styles([*_styles(content), *_styles(package.xml("styles.xml"))])
    for element in list(content.iter("{*}section", "{*}hidden-text", "{*}hidden-paragraph")):
        if _is_hidden_itself(element):
            _take_out(element if element.tag.endswith(("section", "text")) else _paragraph_of(element))
    if hidden:
        for element in list(content.iter(*(f"{{*}}{name}" for name in _FAMILIES))):
            name = element.tag.rpartition("}")[2]
            if (_FAMILIES[name], attribute(element, "style-name") or "") in hidden:
                _take_out(element)
    return content


def name_hidden_sheets(content: Any) -> None:
    """Say in the names of hidden sheets that they are: many workbooks keep their data there, so they are read."""
    hidden = {
        attribute(style, "name")
        for style in _styles(content)
        if (said := child(style, "table-properties")) is not None and attribute(said, "display") == "false"
    }
    for table in content.iter("{*}table") if hidden else ():
        parent = table.getparent()
        if parent is not None and parent.tag.endswith("}spreadsheet") and attribute(table, "style-name") in hidden:
            key = next((key for key in table.attrib if key.endswith("}name")), "name")
            table.set(key, f"{table.get(key, 'Table')} (hidden sheet)")


def _styles(root: Any) -> Iterator[Any]:
    for group in children(root, "automatic-styles", "styles"):
        yield from children(group, "style")


def _hidden_styles(styles: list[Any]) -> set[tuple[str, str]]:
    """The families and names of the styles that hide what is in them."""
    said, based_on = dict[tuple[str, str], bool](), dict[tuple[str, str], tuple[str, str]]()
    for style in styles:
        family = attribute(style, "family") or "text"
        key = family, attribute(style, "name") or ""
        based_on[key] = family, attribute(style, "parent-style-name") or ""
        text, page = child(style, "text-properties"), child(style, "drawing-page-properties")
        if text is not None and (display := attribute(text, "display")) is not None:
            said[key] = display == "none"
        elif page is not None and (visibility := attribute(page, "visibility")) is not None:
            said[key] = visibility == "hidden"
    return {key for key, is_hidden in with_bases(said, based_on).items() if is_hidden}


def _is_hidden_itself(element: Any) -> bool:
    display = attribute(element, "display")
    return display == "none" or (display in (None, "condition") and attribute(element, "is-hidden") == "true")


def _paragraph_of(element: Any) -> Any:
    return next(element.iterancestors("{*}p", "{*}h"), element)


def _take_out(element: Any) -> None:
    """Take an element out of its tree; the text behind it stays, which is a part of its parent."""
    parent, tail, before = element.getparent(), element.tail or "", element.getprevious()
    if parent is None:
        return
    parent.remove(element)
    if before is not None:
        before.tail = (before.tail or "") + tail
    else:
        parent.text = (parent.text or "") + tail
