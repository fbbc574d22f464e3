"""Reads the text of files, by their ending: documents, tables, data, notebooks, mails, source code."""

from collections.abc import Callable
from pathlib import PurePosixPath

from agentkit_tools.file_text import kinds
from agentkit_tools.file_text.books import read_book
from agentkit_tools.file_text.code import read_code
from agentkit_tools.file_text.data import read_json, read_json_lines
from agentkit_tools.file_text.form import FileText, MissingReaderError
from agentkit_tools.file_text.mail import read_mail
from agentkit_tools.file_text.notebooks import read_notebook
from agentkit_tools.file_text.open_document import read_open_document
from agentkit_tools.file_text.sheets import read_sheets
from agentkit_tools.file_text.slides import read_slides
from agentkit_tools.file_text.tables import read_csv
from agentkit_tools.file_text.texts import read_page, read_pdf, read_text
from agentkit_tools.file_text.word import read_word
from agentkit_tools.page_text import UnreadableError

__all__ = ["READERS", "FileText", "MissingReaderError", "read_file"]

Reader = Callable[[str, bytes], FileText]
"""Reads a file, given its path, for messages and its ending, and its bytes. Raises UnreadableError."""

READERS: dict[str, Reader] = {
    **dict.fromkeys(kinds.TEXT, read_text),
    **dict.fromkeys(kinds.CODE, read_code),
    **dict.fromkeys((".html", ".htm", ".xhtml"), read_page),
    ".pdf": read_pdf,
    **dict.fromkeys((".docx", ".docm", ".dotx", ".dotm"), read_word),
    **dict.fromkeys((".pptx", ".pptm", ".ppsx", ".ppsm", ".potx"), read_slides),
    **dict.fromkeys((".xlsx", ".xlsm", ".xltx", ".xltm"), read_sheets),
    **dict.fromkeys((".odt", ".ott", ".odp", ".otp", ".ods", ".ots"), read_open_document),
    ".epub": read_book,
    **dict.fromkeys((".csv", ".tsv", ".tab", ".psv"), read_csv),
    **dict.fromkeys((".json", ".geojson", ".webmanifest"), read_json),
    **dict.fromkeys((".jsonl", ".ndjson"), read_json_lines),
    ".ipynb": read_notebook,
    ".eml": read_mail,
}
"""The reader of each ending. Files with another one, or none, are read as text if they are one."""

_NEVER_EMPTY = (read_pdf, read_word, read_slides, read_sheets, read_open_document, read_book, read_notebook)


def read_file(path: str, content: bytes) -> FileText:
    """Returns the text of a file.

    path: with "/"; its ending says which kind it is. Raises UnreadableError when it has no text that can be read:
    encrypted, scanned, damaged, of a kind that is not read; MissingReaderError when a package is missing for it.
    """
    ending = PurePosixPath(path).suffix.lower()
    if ending in kinds.INSTEAD:
        raise UnreadableError(f"files of this kind ({ending}) can't be read: save it as {kinds.INSTEAD[ending]}")
    reader = READERS.get(ending, read_text)
    if not content and reader in _NEVER_EMPTY:
        raise UnreadableError("it is empty")
    return reader(path, content)
