"""Reads what is at an address: pages, and the documents that stand on the web beside them."""

from typing import Any

from agentkit import Context, Page
from agentkit_tools.file_text import read_file
from agentkit_tools.file_text.true_kind import PACKAGE_TYPES, ending_of_package
from agentkit_tools.page_text import Readable, readable
from agentkit_tools.reader_process import NO_RUN
from agentkit_tools.unreadable import UnreadableError

_OFFICE = "application/vnd.openxmlformats-officedocument."
ENDINGS = {
    f"{_OFFICE}wordprocessingml.document": ".docx",
    f"{_OFFICE}spreadsheetml.sheet": ".xlsx",
    f"{_OFFICE}presentationml.presentation": ".pptx",
    f"{_OFFICE}presentationml.slideshow": ".pptx",
    **PACKAGE_TYPES,
    "application/x-ipynb+json": ".ipynb",
    "message/rfc822": ".eml",
    "application/mbox": ".mbox",
    "multipart/related": ".mhtml",
    "application/x-mimearchive": ".mhtml",
}
"""The endings of files by their media types, for those that are read otherwise than pages."""


def page_text(page: Page, context: Context[Any] = NO_RUN) -> Readable:
    """The text of a page, or of a document that was fetched in place of one: Word, Excel, PowerPoint, OpenDocument,
    EPUB, notebooks and mails. Of a ZIP file its parts tell which it is, whatever type the server gives it.

    Raises what `readable` and `read_file` raise.
    """
    ending = _ending_of(page)
    if not ending:
        return readable(page, context)
    if page.truncated:
        raise UnreadableError("it is a document that is larger than a page may be")
    found = read_file(f"document{ending}", page.content, context)
    return Readable(found.title, found.text)


def _ending_of(page: Page) -> str:
    packed = ending_of_package(page.content) if page.content.startswith(b"PK\x03\x04") else ""
    return packed or ENDINGS.get(page.content_type, "")
