"""Reads the text of a PDF by pdfium."""

import re
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pypdfium2
import pypdfium2.raw as pdfium

from agentkit_tools.page.columns import text_by_columns
from agentkit_tools.page.pdf_notes import notes_of_page
from agentkit_tools.page.powers import with_powers
from agentkit_tools.page.right_to_left import with_words_turned
from agentkit_tools.page_marks import BETWEEN
from agentkit_tools.unreadable import UnreadableError, why_broken

MAX_PAGES = 300
MAX_CHARACTERS = 2_000_000
OF_A_BOOK = 5_000, 20_000_000, 40.0
"""The same and the seconds for a document that is searched, which may be a book."""
STAND_IN = 2_000
"""Characters up to which a text that names Adobe asks the reader of a form to open it there."""
SECONDS = 10.0
"""After this time no further page is begun; one page may take seconds."""

MAX_RANGES = 10
"""Ranges of pages that are named."""
IMAGE_DEPTH = 3
"""How deep images are looked for in groups of drawings."""

_NO_PAGES = re.compile(rb"/Type\s{0,9}/Pages\b[^>]{0,200}?/Count\s{1,9}0\b")

_ONE_AT_A_TIME = threading.Lock()
"""pdfium may not be called by two threads at once."""


def pdf_text(
    content: bytes, max_pages: int = MAX_PAGES, max_characters: int = MAX_CHARACTERS, seconds: float = SECONDS
) -> tuple[str, str]:
    """Returns the title and the text of a PDF, with a form feed between its pages.

    max_pages, max_characters: read at most. seconds: after which no further page is begun.

    Raises UnreadableError when it is damaged, encrypted or has no text because its pages are images.
    """
    with _ONE_AT_A_TIME:
        try:
            found = _read(content, max_pages, max_characters, seconds)
        except pypdfium2.PdfiumError as error:
            raise UnreadableError(_reason(str(error), content)) from None
    text = BETWEEN.join(found.pages)
    if found.is_dynamic and len(text) < STAND_IN and "adobe" in text.lower():
        raise UnreadableError("it is an XFA form, which only Adobe Reader shows: print it into another PDF")
    if not text.strip():
        raise UnreadableError("the PDF has no text; its pages may be scanned images")
    if found.images:
        text += f"\n\n[… no text is on {_ranges(found.images)}: images, perhaps scanned]"
    if found.count > len(found.pages):
        text += f"\n\n[… only the first {len(found.pages)} of {found.count} pages were read{found.why}]"
    return found.title, text


def _ranges(pages: Sequence[int]) -> str:
    """Numbers of pages, those that follow each other as one range; of many ranges the first ones."""
    ranges: list[list[int]] = []
    for page in pages:
        if ranges and ranges[-1][-1] == page - 1:
            ranges[-1][1:] = [page]
        else:
            ranges.append([page])
    named = ", ".join("-".join(map(str, each)) for each in ranges[:MAX_RANGES])
    more = f" and more, {len(pages)} in all" if len(ranges) > MAX_RANGES else ""
    return f"{'page' if len(pages) == 1 else 'pages'} {named}{more}"


def _reason(error: str, content: bytes) -> str:
    if "assword" in error or "ecurity" in error:
        return "the PDF is encrypted: a password is needed to read it"
    if not content:
        return "it is empty"
    return "the PDF has no pages" if _NO_PAGES.search(content) else why_broken(content, "the PDF is damaged")


@dataclass
class _Found:
    """What a PDF has.

    pages: the texts of those that were read. images: the numbers of those that have images and no text. count: of all
    pages. why: the others were not read. is_dynamic: whether the pages only stand in for a form that another program
    makes (XFA).
    """

    title: str
    count: int
    is_dynamic: bool
    pages: list[str] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    why: str = ""


def _read(content: bytes, max_pages: int, max_characters: int, seconds: float) -> _Found:
    characters = 0
    end = time.monotonic() + seconds
    with pypdfium2.PdfDocument(content) as document:
        form = document.get_formtype()
        if form != pdfium.FORMTYPE_NONE:
            with suppress(pypdfium2.PdfiumError):  # the pages can be read without
                document.init_forms()
        found = _Found(_title(document), len(document), form == pdfium.FORMTYPE_XFA_FULL)
        for number in range(min(found.count, max_pages)):
            text, is_image = _page_text(document, number)
            found.pages.append(text)
            found.images += [number + 1] if is_image else []
            characters += len(text)
            if characters > max_characters:
                break
            if time.monotonic() > end:
                found.why = f": they took {seconds:g} seconds"
                break
    return found


def _title(document: pypdfium2.PdfDocument) -> str:
    try:
        return str(document.get_metadata_value("Title"))
    except UnicodeDecodeError:  # some programs cut a title within a character
        return ""


def _page_text(document: pypdfium2.PdfDocument, number: int) -> tuple[str, bool]:
    """The text of a page, and whether it has only images."""
    try:
        page = document[number]
    except pypdfium2.PdfiumError:
        return "", False  # a damaged page does not take the others with it
    try:
        text = page.get_textpage()
        try:
            shown = with_powers(text_by_columns(text) or str(text.get_text_bounded()), text)
            shown = with_words_turned(shown, text)
            found = "\n\n".join(filter(None, [_joined_lines(shown), *notes_of_page(document, page)]))
            return found.replace("\f", "\n"), not found.strip() and _has_image(page)
        finally:
            text.close()
    finally:
        page.close()


def _has_image(page: pypdfium2.PdfPage) -> bool:
    images = page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=IMAGE_DEPTH)
    return next(iter(images), None) is not None


def _joined_lines(page: str) -> str:
    """Joins the lines of a page to paragraphs: a short line without a full stop is a heading, and a long one continues
    in the next line. A word divided at the end of a line is put together."""
    page = page.replace("\ufffe\r\n", "").replace("\ufffe", "")  # how pdfium marks a hyphen at the end of a line
    page = re.sub(r"(?<=[^\W\d_])[\xad\u2010-][ \t]*\r?\n[ \t]*(?=[a-z\xdf-\xff])", "", page)
    lines = "\n".join(line.strip() for line in page.splitlines())
    lines = re.sub(r"^(.{1,60}[^.!?,;:\n])\n(?=[A-Z0-9])", r"\1\n\n", lines, flags=re.MULTILINE)
    return re.sub(r"^(.{40,}[^.!?:\n])\n(?=\S)", r"\1 ", lines, flags=re.MULTILINE).strip()
