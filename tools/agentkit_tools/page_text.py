"""Extracts the readable text of a page: the main part of HTML, PDF, plain text and data formats."""

import re
from dataclasses import dataclass, replace
from typing import Any

import lxml.etree
import pypdfium2  # noqa: F401 - reported as missing when the tool is first used, not at the first page that needs it
import trafilatura  # noqa: F401

from agentkit import Context, Page
from agentkit_tools.json_text import indented
from agentkit_tools.json_text import parsed as parsed_json
from agentkit_tools.page.blocks import joined, written
from agentkit_tools.page.flat import flat_text
from agentkit_tools.page.main_text import main_blocks
from agentkit_tools.page.pdf import pdf_text
from agentkit_tools.page.stand_ins import embedded_documents, text_instead, title_instead
from agentkit_tools.page.tree import TooDeepError, cleaned, parsed
from agentkit_tools.page_marks import PAGE
from agentkit_tools.reader_process import LARGE, NO_RUN, in_reader_process
from agentkit_tools.unreadable import UnreadableError

MAX_PRETTY = 100_000
"""Maximum length of JSON that is indented, in characters; the indents of a larger one could exhaust the memory."""

HEAD = 20_000
"""Characters of a page of an unknown type that show whether it is a text."""

MAX_TAGS = 40_000
"""Tags of a page from which on it is read as a large one: it takes about a second."""

MAX_TREE = 400_000
"""Tags from which on no tree is made of a page: it would take some ten seconds and 500 MB."""


@dataclass(frozen=True)
class Readable:
    """The text of a page. title: "" if it has none. text: paragraphs separated by blank lines."""

    title: str
    text: str


def readable(page: Page, context: Context[Any] = NO_RUN) -> Readable:
    """Returns the text of a fetched page, read by its content type or, if it has none, by its first bytes.

    PDFs and large pages are read in another process. context: the run for which it is read.

    Raises UnreadableError for types without text, for a damaged or encrypted PDF, and for what takes too much time or
    memory; ToolError when the run ends before it is read.
    """
    found = _readable(page, context)
    return plain(found) if not is_read_as_pdf(page) else plain_pages(found)


def plain(found: Readable) -> Readable:
    """A text as it is read from a file, with plain line ends and without control characters."""
    return Readable(_plain(found.title), _plain(found.text).strip("\n"))


def plain_pages(found: Readable) -> Readable:
    """The same for a text with form feeds between its pages, which are kept."""
    pages = map(_plain, found.text.split(PAGE))
    return Readable(_plain(found.title), PAGE.join(pages).strip("\n"))


def _readable(page: Page, context: Context[Any]) -> Readable:
    kind = page.content_type
    if is_read_as_pdf(page):
        return Readable(*in_reader_process(pdf_text, page.content, size=len(page.content), context=context))
    if kind in ("text/html", "application/xhtml+xml") or (not kind and _looks_like_html(page.content)):
        if len(page.content) > LARGE or page.content.count(b"<") > MAX_TAGS:
            page = replace(page, headers={})
            return in_reader_process(_html_page, page, size=len(page.content), context=context)
        return _html_page(page)
    if kind.startswith(("image/", "audio/", "video/", "font/")):
        raise UnreadableError(f"its type is {kind}, which has no text")
    text = page.text
    if not (kind.startswith("text/") or _is_data(kind)) and _CONTROLS.search(text[:HEAD]):
        raise UnreadableError(f"its type is {kind}, which has no text")
    if text.count("\0") + text.count("\ufffd") > len(text) / 20:
        raise UnreadableError("its content is binary, not text")
    if text.startswith("{\\rtf"):
        raise UnreadableError("it is an RTF document, which is not read")
    return Readable("", _pretty(text) if kind.endswith("json") else text.strip())


_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffd]")


def _html_page(page: Page) -> Readable:
    return html_text(page.text, page.url)


def is_read_as_pdf(page: Page) -> bool:
    """Whether a page is a PDF by its content or by its type."""
    return is_pdf(page.content) or page.content_type == "application/pdf"


def is_pdf(content: bytes) -> bool:
    """Whether the first bytes are those of a PDF, whatever its type says."""
    return content.startswith(b"%PDF-")


def _is_data(kind: str) -> bool:
    return not kind or kind.endswith(("json", "xml", "javascript", "yaml"))


def _looks_like_html(content: bytes) -> bool:
    head = content[:2000].lower()
    return b"<html" in head or b"<!doctype html" in head


def without_colours(text: str) -> str:
    """Returns the text without the sequences that colour it, or set a title, on a terminal: logs are full of them."""
    return _COLOURS.sub("", text) if "\x1b" in text else text


_COLOURS = re.compile(r"\x1b(?:\[[0-?]{0,60}[ -/]{0,9}[@-~]|\][^\x07\x1b\n]{0,300}(?:\x07|\x1b\\))")


def _plain(text: str) -> str:
    """Returns the text with \\n as its only line ending, and without colours of a terminal, control characters and lone
    surrogates."""
    text = without_colours(text)
    text = re.sub("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", "\n", text)
    text = re.sub("[\x00-\x08\x0e-\x1b\x1f\x7f-\x9f]", "", text)
    return text.encode("utf-8", "replace").decode("utf-8")


def html_text(source: str, address: str = "") -> Readable:
    """Returns the main text of an HTML page as Markdown: without navigation, scripts, forms and what nobody sees.

    address: the page's own, for the targets of its links.
    """
    if "<" not in source:
        return Readable("", source.strip())
    if source.count("<") > MAX_TREE:
        title, text = flat_text(source)
        return Readable(title, f"{text}\n\n[… the page is so large that only its plain text was read]")
    try:
        title, root = parsed(source)
    except lxml.etree.ParserError:
        return Readable("", "")
    except TooDeepError:
        return Readable(*flat_text(source))
    title = title or title_instead(root)
    shown = embedded_documents(root, address)
    cleaned(root)
    text = joined(main_blocks(root, written(root, address))) or text_instead(source, address)
    return Readable(title, "\n\n".join(filter(None, (text, shown))))


def _pretty(text: str) -> str:
    try:
        return indented(parsed_json(text)) if len(text) <= MAX_PRETTY else text.strip()
    except (ValueError, RecursionError):
        return text.strip()
