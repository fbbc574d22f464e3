"""Reads the text of a PDF by pdfium."""

import re
import threading
import time
from contextlib import suppress

import pypdfium2
import pypdfium2.raw as pdfium

from agentkit_tools.page.columns import text_by_columns
from agentkit_tools.page.pdf_notes import notes_of_page
from agentkit_tools.page.powers import with_powers
from agentkit_tools.page.right_to_left import with_words_turned
from agentkit_tools.unreadable import UnreadableError, why_broken

MAX_PAGES = 300
MAX_CHARACTERS = 2_000_000
STAND_IN = 2_000
"""Characters up to which a text that names Adobe asks the reader of a form to open it there."""
SECONDS = 10.0
"""After this time no further page is begun; one page may take seconds."""

_NO_PAGES = re.compile(rb"/Type\s{0,9}/Pages\b[^>]{0,200}?/Count\s{1,9}0\b")

_ONE_AT_A_TIME = threading.Lock()
"""pdfium may not be called by two threads at once."""


def pdf_text(content: bytes) -> tuple[str, str]:
    """Returns the title and the text of a PDF.

    Raises UnreadableError when it is damaged, encrypted or has no text because its pages are images.
    """
    with _ONE_AT_A_TIME:
        try:
            title, pages, count, why, is_dynamic = _read(content)
        except pypdfium2.PdfiumError as error:
            raise UnreadableError(_reason(str(error), content)) from None
    text = "\n\n".join(filter(None, pages))
    if is_dynamic and len(text) < STAND_IN and "adobe" in text.lower():
        raise UnreadableError("it is an XFA form, which only Adobe Reader shows: print it into another PDF")
    if not text.strip():
        raise UnreadableError("the PDF has no text; its pages may be scanned images")
    if count > len(pages):
        text += f"\n\n[… only the first {len(pages)} of {count} pages were read{why}]"
    return title, text


def _reason(error: str, content: bytes) -> str:
    if "assword" in error or "ecurity" in error:
        return "the PDF is encrypted: a password is needed to read it"
    if not content:
        return "it is empty"
    return "the PDF has no pages" if _NO_PAGES.search(content) else why_broken(content, "the PDF is damaged")


def _read(content: bytes) -> tuple[str, list[str], int, str, bool]:
    """The title, the texts of the pages that were read, the number of all, why the others were not read, and whether
    they only stand in for a form that another program makes (XFA)."""
    pages: list[str] = []
    characters, why = 0, ""
    end = time.monotonic() + SECONDS
    with pypdfium2.PdfDocument(content) as document:
        form = document.get_formtype()
        if form != pdfium.FORMTYPE_NONE:
            with suppress(pypdfium2.PdfiumError):  # the pages can be read without
                document.init_forms()
        title = _title(document)
        count = len(document)
        for number in range(min(count, MAX_PAGES)):
            pages.append(_page_text(document, number))
            characters += len(pages[-1])
            if characters > MAX_CHARACTERS:
                break
            if time.monotonic() > end:
                why = f": they took {SECONDS:g} seconds"
                break
    return title, pages, count, why, form == pdfium.FORMTYPE_XFA_FULL


def _title(document: pypdfium2.PdfDocument) -> str:
    try:
        return str(document.get_metadata_value("Title"))
    except UnicodeDecodeError:  # some programs cut a title within a character
        return ""


def _page_text(document: pypdfium2.PdfDocument, number: int) -> str:
    try:
        page = document[number]
    except pypdfium2.PdfiumError:
        return ""  # a damaged page does not take the others with it
    try:
        text = page.get_textpage()
        try:
            shown = with_powers(text_by_columns(text) or str(text.get_text_bounded()), text)
            shown = with_words_turned(shown, text)
            return "\n\n".join(filter(None, [_joined_lines(shown), *notes_of_page(document, page)]))
        finally:
            text.close()
    finally:
        page.close()


def _joined_lines(page: str) -> str:
    """Joins the lines of a page to paragraphs: a short line without a full stop is a heading, and a long one continues
    in the next line. A word divided at the end of a line is put together."""
    page = page.replace("\ufffe\r\n", "").replace("\ufffe", "")  # how pdfium marks a hyphen at the end of a line
    page = re.sub(r"(?<=[^\W\d_])[\xad\u2010-][ \t]*\r?\n[ \t]*(?=[a-z\xdf-\xff])", "", page)
    lines = "\n".join(line.strip() for line in page.splitlines())
    lines = re.sub(r"^(.{1,60}[^.!?,;:\n])\n(?=[A-Z0-9])", r"\1\n\n", lines, flags=re.MULTILINE)
    return re.sub(r"^(.{40,}[^.!?:\n])\n(?=\S)", r"\1 ", lines, flags=re.MULTILINE).strip()
