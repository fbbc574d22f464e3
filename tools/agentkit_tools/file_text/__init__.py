"""Reads the text of files, by their ending: documents, tables, data, notebooks, mails, source code."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from agentkit import Context
from agentkit_tools import kinds, reader_process
from agentkit_tools.file_text.books import read_book
from agentkit_tools.file_text.code import read_code
from agentkit_tools.file_text.data import read_json, read_json_lines
from agentkit_tools.file_text.flat_workbook import read_flat_workbook
from agentkit_tools.file_text.form import FileText
from agentkit_tools.file_text.mail import read_mail, read_mailbox, read_saved_page
from agentkit_tools.file_text.notebooks import read_notebook
from agentkit_tools.file_text.open_document import read_open_document
from agentkit_tools.file_text.package import unpacked_size
from agentkit_tools.file_text.sheets import read_sheets
from agentkit_tools.file_text.slides import read_slides
from agentkit_tools.file_text.tables import read_csv
from agentkit_tools.file_text.texts import read_page, read_pdf, read_text
from agentkit_tools.file_text.true_kind import FLAT_WORKBOOK, true_ending
from agentkit_tools.file_text.word import read_word
from agentkit_tools.log import logger
from agentkit_tools.page_text import is_pdf
from agentkit_tools.reader_process import LARGE, NO_RUN, RunEndedError, in_reader_process
from agentkit_tools.unreadable import ForTheMomentError, MissingReaderError, TooComplexError, UnreadableError

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
    **dict.fromkeys(kinds.SHEETS, read_sheets),
    **dict.fromkeys((".odt", ".ott", ".odp", ".otp", ".ods", ".ots"), read_open_document),
    ".epub": read_book,
    **dict.fromkeys((".csv", ".tsv", ".tab", ".psv"), read_csv),
    **dict.fromkeys((".json", ".geojson", ".webmanifest"), read_json),
    **dict.fromkeys((".jsonl", ".ndjson"), read_json_lines),
    ".ipynb": read_notebook,
    ".eml": read_mail,
    ".mbox": read_mailbox,
    **dict.fromkeys((".mht", ".mhtml"), read_saved_page),
}
"""The reader of each ending. Files with another one, or none, are read as text if they are one."""

_NEVER_EMPTY = (read_pdf, read_word, read_slides, read_sheets, read_open_document, read_book, read_notebook)


AS_TEXT = (read_text, read_code, read_page)
"""Readers of what is about as long as its text."""

STRUCTURED = 200_000
"""Bytes from which on a file of another kind is read in a process of its own: each may become a paragraph."""

BY_CELLS = frozenset((".ods", ".ots"))
"""Kinds of which a small file may say that it has millions of cells. (So do workbooks, whose reader sees to it.)"""


def read_file(path: str, content: bytes, context: Context[Any] = NO_RUN) -> FileText:
    """Returns the text of a file.

    path: with "/"; its ending says which kind it is, unless the content of an Office document says another one. What is
    large, when unpacked, and kinds whose size says nothing
    are read in another process. context: the run for which it is read.

    Raises UnreadableError when it has no text that can be read: encrypted, scanned, damaged, of a kind that is not
    read, of a size that takes too much time or memory; MissingReaderError when a package is missing for it;
    RunEndedError when the run ends before it is read.
    """
    ending = true_ending(PurePosixPath(path).suffix.lower(), content)
    if ending in kinds.INSTEAD:
        raise UnreadableError(f"files of this kind ({ending}) can't be read: save it as {kinds.INSTEAD[ending]}")
    try:
        return _read(path, ending, content, context)
    except RecursionError:
        raise TooComplexError("it is nested too deeply") from None
    except MemoryError:
        raise ForTheMomentError("there is not enough memory to read it") from None
    except (UnreadableError, RunEndedError, OSError):
        raise
    except Exception as error:
        logger.warning("%s could not be read: what reads it raised %s", path, type(error).__name__)
        logger.debug("what was raised for %s", path, exc_info=error)
        raise UnreadableError("it is damaged") from error


def _read(path: str, ending: str, content: bytes, context: Context[Any]) -> FileText:
    reader = read_flat_workbook if ending == FLAT_WORKBOOK else READERS.get(ending, read_text)
    if not content and reader in _NEVER_EMPTY:
        raise UnreadableError("it is empty")
    if reader is read_pdf or is_pdf(content):
        return read_pdf(path, content, context)
    if reader is read_sheets:
        return read_sheets(path, content, context)
    if ending in BY_CELLS or unpacked_size(content) > (LARGE if reader in AS_TEXT else STRUCTURED):
        return in_reader_process(
            reader, path, content, size=len(content), context=context, seconds=reader_process.FILE_SECONDS
        )
    return reader(path, content)
