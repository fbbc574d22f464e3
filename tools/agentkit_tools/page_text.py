"""Extracts the readable text of a page: the main part of HTML, PDF, plain text and data formats."""

import io
import json
import logging
import re
from dataclasses import dataclass

import lxml.etree  # noqa: F401 - bs4 imports it only when parsing, too late to report it missing
import pypdf
from bs4 import BeautifulSoup
from bs4.element import NavigableString, PageElement, PreformattedString, Tag

from agentkit import Page

logging.getLogger("pypdf").addHandler(logging.NullHandler())  # without it, warnings on damaged files go to stderr

MAX_PDF_PAGES = 300
MAX_PDF_CHARACTERS = 2_000_000
MAX_PRETTY = 100_000
"""Maximum length of JSON that is indented, in characters; the indents of a larger one could exhaust the memory."""

NOISE = frozenset(
    (
        *("script", "style", "noscript", "template", "nav", "footer", "aside", "form", "iframe", "svg", "canvas"),
        *("button", "select", "dialog", "object", "embed", "audio", "video", "map", "head"),
    )
)
NOISE_ROLES = ("navigation", "banner", "contentinfo", "search", "complementary", "dialog")
HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|(?:font-size|opacity)\s*:\s*0(?![.\d]*[1-9])",
    re.IGNORECASE,
)

BLOCK, LINE = "\n\n", "\n"
MARKS = (
    dict.fromkeys(("p", "div", "section", "article", "main", "header", "ul", "ol", "dl", "table"), (BLOCK, BLOCK))
    | dict.fromkeys(("blockquote", "pre", "figure", "figcaption", "details", "address"), (BLOCK, BLOCK))
    | dict.fromkeys(("form", "fieldset", "hr"), (BLOCK, BLOCK))
    | {f"h{level}": (f"{BLOCK}{'#' * level} ", BLOCK) for level in range(1, 7)}
    | dict.fromkeys(("tr", "dt", "dd", "caption", "option"), (LINE, ""))
    | {"li": (f"{LINE}- ", ""), "summary": (LINE, LINE), "br": (LINE, ""), "td": ("", " | "), "th": ("", " | ")}
)
"""Text written before and after an element; all other elements are inline."""

KEPT_SPACE = "\ue000"
"""Stands for a space inside <pre> until the other spaces are normalised."""


@dataclass(frozen=True)
class Readable:
    """The text of a page. title: "" if it has none. text: paragraphs separated by blank lines."""

    title: str
    text: str


class UnreadableError(Exception):
    """A page has no readable text; the message gives the reason."""


def readable(page: Page) -> Readable:
    """Returns the text of a fetched page, read by its content type or, if it has none, by its first bytes.

    Raises UnreadableError for types without text, and for a damaged or encrypted PDF.
    """
    found = _readable(page)
    return Readable(_plain(found.title), _plain(found.text).strip("\n"))


def _readable(page: Page) -> Readable:
    kind = page.content_type
    if kind == "application/pdf" or page.content.startswith(b"%PDF-"):
        return pdf_text(page.content)
    if kind in ("text/html", "application/xhtml+xml") or (not kind and _looks_like_html(page.content)):
        return html_text(page.text)
    if kind.startswith(("image/", "audio/", "video/", "font/")) or not (kind.startswith("text/") or _is_data(kind)):
        raise UnreadableError(f"its type is {kind}, which has no text")
    text = page.text
    if text.count("\0") + text.count("\ufffd") > len(text) / 20:
        raise UnreadableError("its content is binary, not text")
    return Readable("", _pretty(text) if kind.endswith("json") else text.strip())


def _is_data(kind: str) -> bool:
    return not kind or kind.endswith(("json", "xml", "javascript", "yaml"))


def _looks_like_html(content: bytes) -> bool:
    head = content[:2000].lower()
    return b"<html" in head or b"<!doctype html" in head


def _plain(text: str) -> str:
    """Returns the text with \\n as its only line ending, and without control characters and lone surrogates."""
    text = re.sub("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", "\n", text)
    text = re.sub("[\x00-\x08\x0e-\x1b\x1f\x7f-\x9f]", "", text)
    return text.encode("utf-8", "replace").decode("utf-8")


# HTML


def html_text(source: str) -> Readable:
    """Returns the main text of an HTML page, without navigation, scripts, forms and hidden elements."""
    if "<" not in source:
        return Readable("", source.strip())
    soup = BeautifulSoup(re.sub(r"\A\s*<\?xml[^>]*\?>", "", source), "lxml")
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    # some sites wrap the whole page in a form
    whole = _visible_text(soup, NOISE) or _visible_text(soup, NOISE - {"form"})
    parts = (soup.select_one("main"), soup.select_one("[role=main]"), soup.select_one("article"))
    for part in parts:
        text = _visible_text(part, NOISE) if part is not None and not _is_hidden_below(part) else ""
        if text and len(text) >= 0.3 * len(whole):
            return Readable(title, text)
    return Readable(title, whole)


def _is_hidden_below(part: Tag) -> bool:
    return any(_is_noise(parent, NOISE, in_main=True) for parent in part.parents)


def _visible_text(root: Tag, noise: frozenset[str]) -> str:
    """Returns the text that a browser would show of an element, with blank lines between paragraphs.

    One pass without recursion and without access to ancestors, since pages may be arbitrarily large and deep.
    """
    parts: list[str] = []
    todo: list[tuple[PageElement | str, bool, bool]] = [(root, False, False)]
    while todo:
        node, in_pre, in_main = todo.pop()
        if not isinstance(node, PageElement):
            parts.append(node)
        elif isinstance(node, NavigableString) and not isinstance(node, PreformattedString):
            parts.append(_kept(node) if in_pre else re.sub(r"\s+", " ", node))
        elif isinstance(node, Tag) and not _is_noise(node, noise, in_main):
            before, after = MARKS.get(node.name, ("", ""))
            parts.append(before)
            todo.append((after, False, False))
            state = (in_pre or node.name == "pre", in_main or node.name in ("main", "article"))
            todo.extend((child, *state) for child in reversed(node.contents))
    return _tidied("".join(parts))


def _is_noise(tag: Tag, noise: frozenset[str], in_main: bool) -> bool:
    """Whether an element is not part of the text. The header of an article is part of it, that of a page is not."""
    if tag.name in noise or (tag.name == "header" and not in_main):
        return True
    if not tag.attrs:
        return False
    if tag.get("role") in NOISE_ROLES or tag.has_attr("hidden") or tag.get("aria-hidden") == "true":
        return True
    return bool(HIDDEN.search(str(tag.get("style") or "")))


def _kept(text: str) -> str:
    return text.expandtabs(4).replace(" ", KEPT_SPACE)


def _tidied(text: str) -> str:
    """Strips the lines, and leaves at most one blank line between two of them."""
    lines = (" ".join(line.split()).removesuffix(" |").strip() for line in text.split("\n"))
    joined = re.sub(r"\n{3,}", "\n\n", "\n".join("" if line in ("-", "|") else line for line in lines))
    return re.sub(rf"{KEPT_SPACE}+$", "", joined, flags=re.MULTILINE).replace(KEPT_SPACE, " ").strip("\n")


# PDF and others


def pdf_text(content: bytes) -> Readable:
    """Returns the text of a PDF. Raises UnreadableError when it is damaged, encrypted or consists of images."""
    try:
        reader = pypdf.PdfReader(io.BytesIO(content))
        title = str(reader.metadata.title or "") if reader.metadata else ""
        count = len(reader.pages)
        pages = _pages_of(reader)
    except Exception:  # noqa: BLE001 - pypdf raises many types for damaged files
        raise UnreadableError("the PDF is damaged or encrypted") from None
    text = "\n\n".join(filter(None, (_joined_lines(page) for page in pages)))
    if not text:
        raise UnreadableError("the PDF has no text; its pages may be scanned images")
    if count > len(pages):
        text += f"\n\n[… only the first {len(pages)} of {count} pages were read]"
    return Readable(title, text)


def _pages_of(reader: pypdf.PdfReader) -> list[str]:
    pages: list[str] = []
    characters = 0
    for page in reader.pages[:MAX_PDF_PAGES]:
        pages.append(page.extract_text() or "")
        characters += len(pages[-1])
        if characters > MAX_PDF_CHARACTERS:
            break
    return pages


def _joined_lines(page: str) -> str:
    """Joins the lines of a page to paragraphs: a short line without a full stop is a heading, and a long one continues
    in the next line."""
    lines = "\n".join(line.strip() for line in page.splitlines())
    lines = re.sub(r"^(.{1,60}[^.!?,;:\n])\n(?=[A-Z0-9])", r"\1\n\n", lines, flags=re.MULTILINE)
    return re.sub(r"^(.{40,}[^.!?:\n])\n(?=\S)", r"\1 ", lines, flags=re.MULTILINE).strip()


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=1) if len(text) <= MAX_PRETTY else text.strip()
    except (ValueError, RecursionError):
        return text.strip()
