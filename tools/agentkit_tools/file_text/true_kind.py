"""Which kind a file is of whose name says another one: people rename files, and programs export pages and texts under
the name of a workbook."""

import io
import re
import zipfile

from agentkit_tools.kinds import INSTEAD, PACKAGES
from agentkit_tools.reader_process import LARGE

FLAT_WORKBOOK = ".spreadsheetml"
"""Stands for a workbook that is one XML file, as Excel 2003 and many programs after it write it."""

HEAD = 2_000
"""Bytes at the beginning that say what a file is."""

PACKAGE_TYPES = {
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
    "application/vnd.oasis.opendocument.presentation": ".odp",
    "application/epub+zip": ".epub",
}
"""The endings of ZIP files by the types that they give themselves."""

_MAIN_PARTS = {"word/document.xml": ".docx", "xl/workbook.xml": ".xlsx", "ppt/presentation.xml": ".pptx"}
_OPENED_BY_OFFICE = frozenset((".doc", ".dot", ".xls", ".xlt"))
"""What programs name pages and texts, so that Office opens them."""

_PAGE = re.compile(rb"<(?:!doctype html|html|head|body|div|table)\b", re.IGNORECASE)
_MAIL = re.compile(rb"\s{0,9}(?:MIME-Version|Content-Type):", re.IGNORECASE)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def true_ending(ending: str, content: bytes) -> str:
    """The ending that says what a file is, where its own one names another kind of document, or one that is not read;
    else its own. ending: in lower case."""
    if content.startswith(b"PK\x03\x04") and (ending in INSTEAD or (ending in PACKAGES and len(content) <= LARGE)):
        return ending_of_package(content) or ending
    return _of_export(ending, content[:HEAD]) if ending in _OPENED_BY_OFFICE else ending


def _of_export(ending: str, head: bytes) -> str:
    if head.startswith(b"%PDF-"):
        return ".pdf"
    if b"urn:schemas-microsoft-com:office:spreadsheet" in head and b"<Workbook" in head:
        return FLAT_WORKBOOK
    if _MAIL.match(head):
        return ".mht"
    if _PAGE.search(head):
        return ".html"
    return ".csv" if ending.startswith(".xl") and _is_table(head) else ending


def _is_table(head: bytes) -> bool:
    """Whether a text begins with a line in which something separates cells."""
    first = head.lstrip().partition(b"\n")[0]
    return head.startswith(_UTF_16) or (b"\0" not in head and any(each in first for each in b"\t;,|"))


def ending_of_package(content: bytes) -> str:
    """The ending that a document in the form of a ZIP file has by its parts; "" for another ZIP file."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            names = set(package.namelist())
            said = package.open("mimetype").read(100).decode("ascii", "replace").strip() if "mimetype" in names else ""
    except Exception:  # noqa: BLE001 - of zipfile and of each method of compression
        return ""
    return PACKAGE_TYPES.get(said) or next((ending for part, ending in _MAIN_PARTS.items() if part in names), "")
