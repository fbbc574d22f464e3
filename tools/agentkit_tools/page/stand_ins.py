"""What stands in for the title or the text that a page lacks: what it tells link previews and search engines, and those
that run no scripts."""

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, urldefrag, urljoin, urlsplit

from lxml.etree import _Element as Element

from agentkit_tools.page.blocks import joined, written
from agentkit_tools.page.flat import flat_text
from agentkit_tools.page.inline import beginning_of
from agentkit_tools.page.main_text import main_blocks
from agentkit_tools.page.tree import cleaned, parsed

LEAST = 200
"""Characters of a text from which on it is one, and no request to turn scripts on."""
MAX_DATA = 2_000_000
"""Characters of structured data that are read."""
MAX_FRAMES, MAX_ADDRESS = 20, 2_000
_TITLES = ("og:title", "twitter:title")


def title_instead(root: Element) -> str:
    """The title that a page without one has for link previews, else its first heading; "" for none."""
    for meta in root.iter("meta"):
        if (meta.get("property") or meta.get("name") or "").lower() in _TITLES and (meta.get("content") or "").strip():
            return str(meta.get("content"))
    return next((text for heading in root.iter("h1") if (text := beginning_of(heading))), "")


def text_instead(source: str, address: str = "") -> str:
    """The text that a page without one has for those that run no scripts, or for search engines; "" for none.

    Raises what `parsed` raises."""
    _, root = parsed(source)
    bodies = list(_article_bodies(root))
    frames = _frames(root, address)
    for element in list(root.iter("noscript")):
        element.tag = "div"
    cleaned(root)
    text = joined(main_blocks(root, written(root, address)))
    found = (text, *(flat_text(body)[1] if "<" in body else body.strip() for body in bodies))
    return next((each for each in found if len(each) >= LEAST), frames)


def _frames(root: Element, address: str) -> str:
    """Which pages a page of frames shows; "" for another page. (An `iframe` is mostly an advertisement.)"""
    pages: dict[str, None] = {}
    for frame in islice(root.iter("frame"), MAX_FRAMES):
        with suppress(ValueError):  # of an address that is none
            pages[urljoin(address, frame.get("src", "")[:MAX_ADDRESS].strip())] = None
    pages.pop(address, None)
    return f"[… the page has no text of its own; it shows these pages: {' '.join(pages)}]" if pages else ""


def embedded_documents(root: Element, address: str) -> str:
    """Which PDFs a page shows in itself, whose texts are not those of the page; "" for none."""
    found: dict[str, None] = {}
    for element in islice(root.iter("iframe", "embed", "object"), MAX_FRAMES):
        with suppress(ValueError):  # of an address that is none
            target = urljoin(address, (element.get("src") or element.get("data") or "")[:MAX_ADDRESS].strip())
            if shown := _document_at(target, (element.get("type") or "").lower()):
                found[shown] = None
    return f"[… the page shows a document, which is read at its own address: {' '.join(found)}]" if found else ""


def _document_at(target: str, kind: str) -> str:
    """The address of the PDF that is shown by what is at an address: itself, or what a viewer is told; "" for none."""
    parts = urlsplit(target)
    said = dict(parse_qsl(parts.query, max_num_fields=20))
    named = urljoin(target, said.get("file") or said.get("url") or target)
    is_named = urlsplit(named).path.lower().endswith(".pdf")
    shown = named if is_named else target if kind == "application/pdf" else ""
    return urldefrag(shown).url if shown.startswith(("http://", "https://")) else ""


def _article_bodies(root: Element) -> Iterator[str]:
    """The texts of articles in the structured data of a page (https://schema.org/Article)."""
    left = MAX_DATA
    for script in root.iter("script"):
        data = script.text or ""
        left -= len(data)
        if (script.get("type") or "").lower() == "application/ld+json" and left >= 0:
            try:
                yield from _bodies_in(json.loads(data, strict=False))
            except (ValueError, RecursionError):
                continue


def _bodies_in(value: Any) -> Iterator[str]:
    """The bodies in a value: in its lists and its `@graph`."""
    if isinstance(value, list):
        for each in value:
            yield from _bodies_in(each)
    elif isinstance(value, dict):
        if isinstance(value.get("articleBody"), str):
            yield value["articleBody"]
        yield from _bodies_in(value.get("@graph"))
