"""Texts in drawings (DrawingML): shapes of slides, and the boxes of diagrams (SmartArt)."""

from collections.abc import Iterator, Mapping
from typing import Any

from agentkit_tools.file_text.links import linked
from agentkit_tools.file_text.package import attribute, child, descendants, local, unescaped


def drawn_paragraphs(element: Any, links: Mapping[str, str] | None = None) -> Iterator[str]:
    """The paragraphs below an element that have a text. links: the addresses of the part, by their ids."""
    for paragraph in descendants(element, "p"):
        text = unescaped("".join(_piece(each, links or {}) for each in descendants(paragraph, "t", "br"))).strip()
        if text:
            yield text


def _piece(element: Any, links: Mapping[str, str]) -> str:
    if local(element) == "br":
        return "\n"
    click = child(element.getparent(), "rPr", "hlinkClick") if links else None
    text = element.text or ""
    return text if click is None else linked(text, links.get(attribute(click, "id") or "", ""))
