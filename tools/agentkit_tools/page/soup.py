"""Reads pages that are nested more deeply than the parser's tree allows, by beautifulsoup4."""

import re

from bs4 import BeautifulSoup
from bs4.element import NavigableString, PageElement, PreformattedString, Tag

NO_TEXT = frozenset(
    (
        *("script", "style", "noscript", "template", "nav", "footer", "aside", "form", "iframe", "svg", "canvas"),
        *("button", "select", "dialog", "object", "embed", "audio", "video", "map", "head", "textarea"),
    )
)
INLINE = frozenset(
    ("a", "b", "i", "u", "em", "strong", "span", "small", "code", "font", "abbr", "time", "mark", "cite")
)
HIDDEN = re.compile(r"(?i)display\s*:\s*none|visibility\s*:\s*hidden|(?:font-size|opacity|height)\s*:\s*0(?![.\d])")


def flat_text(source: str) -> tuple[str, str]:
    """Returns the title and the paragraphs of a page, without headings, lists and links.

    One pass without recursion and without access to ancestors.
    """
    soup = BeautifulSoup(source, "lxml")
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    parts: list[str] = []
    todo: list[PageElement | str] = [soup]
    while todo:
        node = todo.pop()
        if not isinstance(node, PageElement):
            parts.append(node)
        elif isinstance(node, NavigableString) and not isinstance(node, PreformattedString):
            parts.append(re.sub(r"\s+", " ", node))
        elif isinstance(node, Tag) and not _is_unseen(node):
            edge = "" if node.name in INLINE else "\n"
            todo.append(edge)
            todo.extend(reversed(node.contents))
            parts.append(edge)
    lines = (" ".join(line.split()) for line in "".join(parts).split("\n"))
    return title, "\n\n".join(line for line in lines if line)


def _is_unseen(tag: Tag) -> bool:
    if tag.name in NO_TEXT or tag.has_attr("hidden") or tag.get("aria-hidden") == "true":
        return True
    return bool(tag.attrs) and HIDDEN.search(str(tag.get("style") or "")) is not None
