"""The readable text of a page: of HTML without what stands around it, of a PDF, of plain text."""

import io
import json
import re
from dataclasses import dataclass

import pypdf
from bs4 import BeautifulSoup
from bs4.element import Comment, NavigableString, Tag

from agentkit import Page

MOST_PDF_PAGES = 300

NOISE = (
    *("script", "style", "noscript", "template", "nav", "footer", "aside", "form", "iframe", "svg", "canvas"),
    *("button", "select", "dialog", "object", "embed", "audio", "video", "map", "head"),
)
NOISE_ROLES = ("navigation", "banner", "contentinfo", "search", "complementary", "dialog")
BLOCKS = (
    *("p", "div", "section", "article", "main", "header", "ul", "ol", "dl", "table", "blockquote", "pre", "figure"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "hr", "details", "fieldset", "address", "figcaption"),
)
LINES = ("li", "tr", "dt", "dd", "br", "caption", "summary", "option")
HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


@dataclass(frozen=True)
class Readable:
    """A title, "" when there is none, and paragraphs with blank lines between them."""

    title: str
    text: str


class UnreadableError(Exception):
    """There is no text to be had of a page; the message says why."""


def readable(page: Page) -> Readable:
    """The text of a fetched page, by its type or, where that says nothing, by its first bytes.

    Raises UnreadableError for what has no text, and for a PDF that is broken or encrypted.
    """
    kind = page.content_type
    if kind == "application/pdf" or page.content.startswith(b"%PDF-"):
        return pdf_text(page.content)
    if kind in ("text/html", "application/xhtml+xml") or (not kind and b"<html" in page.content[:2000].lower()):
        return html_text(page.text)
    if kind.endswith(("json", "xml", "javascript", "yaml")) or kind.startswith("text/") or not kind:
        return Readable("", _pretty(page.text) if kind.endswith("json") else page.text.strip())
    raise UnreadableError(f"it is of the type {kind}, which has no text")


def html_text(source: str) -> Readable:
    """The main text of an HTML page: without navigation, scripts, forms, and what is hidden."""
    if "<" not in source:
        return Readable("", source.strip())
    soup = BeautifulSoup(re.sub(r"\A\s*<\?xml[^>]*\?>", "", source), "lxml")
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    for string in soup.find_all(string=True):
        if isinstance(string, Comment):
            string.extract()
    for tag in soup.find_all(_is_noise):
        tag.extract()
    root = _main(soup)
    _mark_blocks(root)
    lines = (" ".join(line.split()) for line in root.get_text().splitlines())
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(line.removesuffix(" |") for line in lines))
    return Readable(title, text.strip())


def _is_noise(tag: Tag) -> bool:
    if tag.name in NOISE or tag.get("role") in NOISE_ROLES:
        return True
    if tag.has_attr("hidden") or tag.get("aria-hidden") == "true" or HIDDEN.search(str(tag.get("style") or "")):
        return True
    return tag.name == "header" and tag.find_parent(("article", "main")) is None


def _main(soup: BeautifulSoup) -> Tag:
    """The part of a page that says it is the main one, if it holds a good part of the text."""
    whole = len(soup.get_text())
    for part in (soup.select_one("main"), soup.select_one("[role=main]"), soup.select_one("article")):
        if part is not None and len(part.get_text()) >= 0.3 * whole:
            return part
    return soup


def _mark_blocks(root: Tag) -> None:
    """Put the line breaks in that a browser would show; those of the source mean nothing but in <pre>."""
    for string in list(root.find_all(string=True)):
        if string.find_parent("pre") is None:
            string.replace_with(NavigableString(re.sub(r"\s+", " ", string)))
    for tag in root.find_all((*BLOCKS, *LINES, "td", "th")):
        if tag.name in ("td", "th"):
            tag.append(" | ")
            continue
        mark = "\n" if tag.name in LINES else "\n\n"
        before = mark + "- " if tag.name == "li" else mark
        before += "#" * int(tag.name[1]) + " " if re.fullmatch("h[1-6]", tag.name) else ""
        tag.insert(0, before)
        tag.append("\n" if tag.name in LINES else "\n\n")


def pdf_text(content: bytes) -> Readable:
    """The text of a PDF's pages. Raises UnreadableError when it is broken, encrypted or made of pictures."""
    try:
        reader = pypdf.PdfReader(io.BytesIO(content))
        pages = [page.extract_text() or "" for page in reader.pages[:MOST_PDF_PAGES]]
        title = str(reader.metadata.title or "") if reader.metadata else ""
    except Exception:  # noqa: BLE001 - pypdf raises many kinds for broken files
        raise UnreadableError("it is a PDF that is broken or encrypted") from None
    text = "\n\n".join(filter(None, (_joined_lines(page) for page in pages)))
    if not text:
        raise UnreadableError("it is a PDF without text, perhaps of scanned pages")
    if len(reader.pages) > MOST_PDF_PAGES:
        text += f"\n\n[… only the first {MOST_PDF_PAGES} of {len(reader.pages)} pages were read]"
    return Readable(title, text)


def _joined_lines(page: str) -> str:
    """A page's lines as paragraphs: a short line without a full stop is a heading, and a long one goes on in the
    next."""
    lines = "\n".join(line.strip() for line in page.splitlines())
    lines = re.sub(r"^(.{1,60}[^.!?,;:\n])\n(?=[A-Z0-9])", r"\1\n\n", lines, flags=re.MULTILINE)
    return re.sub(r"^(.{40,}[^.!?:\n])\n(?=\S)", r"\1 ", lines, flags=re.MULTILINE).strip()


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=1)
    except (ValueError, RecursionError):
        return text.strip()
