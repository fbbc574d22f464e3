"""Reads the plain text of pages that are nested too deeply, or have too many elements, for a tree of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lxml import etree

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
CHUNK = 100_000


def flat_text(source: str) -> tuple[str, str]:
    """Returns the title and the paragraphs of a page, without headings, lists and links.

    One pass, without a tree: the parser reports what begins and ends.
    """
    text = _Text()
    parser = etree.HTMLParser(target=text, huge_tree=True)
    for start in range(0, len(source), CHUNK):
        parser.feed(source[start : start + CHUNK])
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(text.parts).split("\n"))
    return " ".join("".join(text.title).split()), "\n\n".join(line for line in lines if line)


@dataclass
class _Text:
    """What the parser calls for each tag and each text."""

    parts: list[str] = field(default_factory=list)
    title: list[str] = field(default_factory=list)
    _unseen: int = 0
    """How many elements are open in one that is not seen, with it."""
    _in_title: bool = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._in_title = tag == "title" and not self.title
        if self._unseen or tag in NO_TEXT or (attributes and _is_unseen(attributes)):
            self._unseen += 1
        elif tag not in INLINE:
            self.parts.append("\n")

    def end(self, tag: str) -> None:
        self._in_title = False
        if self._unseen:
            self._unseen -= 1
        elif tag not in INLINE:
            self.parts.append("\n")

    def data(self, text: str) -> None:
        if self._in_title:
            self.title.append(text)
        elif not self._unseen:
            self.parts.append(text.replace("\n", " "))

    def close(self) -> None:
        """Nothing is left to do."""


def _is_unseen(attributes: Mapping[str, str]) -> bool:
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return True
    return HIDDEN.search(attributes.get("style") or "") is not None
