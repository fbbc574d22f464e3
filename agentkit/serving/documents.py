"""Reads the text of a document that a client has sent, whatever it is, in a process of its own.

The reader is that of the documents tool. Its process has none of the keys in the environment, is killed when it takes
too long or too much memory, and what crashes it fails this document only.
"""

import codecs
import importlib.util
import logging
import threading
from dataclasses import dataclass
from pathlib import PurePosixPath

from agentkit import Context, ToolError
from agentkit.net.image_bytes import SUPPORTED, media_type

logger = logging.getLogger("agentkit")

SECONDS = 30.0
"""Seconds that reading one document may take."""

_PACKAGES = ("lxml", "trafilatura", "pypdfium2")
"""What the reader needs of the extra 'web'."""

_WORKBOOKS = "openpyxl"
"""What it needs of the extra 'documents'."""

_KINDS = {"image/heic": "HEIC", "image/avif": "AVIF", "image/x-icon": "ICO", "image/jp2": "JPEG 2000"}


@dataclass(frozen=True)
class DocumentText:
    """The text of a document, at most as much of it as was asked for. characters: length of the whole."""

    text: str
    characters: int

    @property
    def was_cut(self) -> bool:
        """Whether it has more text than this."""
        return len(self.text) < self.characters


class UnreadableDocumentError(Exception):
    """A document has no text that can be read. The message is a sentence for its user, with the document's name."""


class MissingDocumentReaderError(UnreadableDocumentError):
    """What reads this kind of document is not installed."""


class StoppedReadingError(Exception):
    """Nobody waits for the text any more."""


def is_reader_installed() -> bool:
    """Whether documents can be read. Without the extra 'web' only plain texts in UTF-8 are."""
    return all(importlib.util.find_spec(each) for each in _PACKAGES)


def readable_kinds() -> list[str]:
    """The endings of the documents that can be read, such as ".pdf". Other files are read where they are texts."""
    from agentkit_tools.kinds import CODE, DOCUMENTS, SHEETS, TEXT

    if not is_reader_installed():
        return sorted(TEXT | CODE)
    return sorted((TEXT | CODE | DOCUMENTS) - (frozenset() if importlib.util.find_spec(_WORKBOOKS) else SHEETS))


def document_text(name: str, content: bytes, characters: int, cancel: threading.Event | None = None) -> DocumentText:
    """Return the text of a document. Waits until there is room for one more process.

    name: its ending says which kind it is. characters: maximum length of the text that is returned. cancel: set when
    nobody waits for it any more. Raises UnreadableDocumentError, and StoppedReadingError when `cancel` is set.
    """
    _check(name, content)
    if not is_reader_installed():
        found = _plain_or_refused(name, content).strip()
        read = found[:characters], len(found)
    else:
        read = _read_elsewhere(name, content, characters, cancel)
    if not read[0]:
        raise UnreadableDocumentError(f"{name} has no text")
    return DocumentText(*read)


def _check(name: str, content: bytes) -> None:
    """Raises UnreadableDocumentError for what needs no reader to be known."""
    from agentkit_tools.file_text.true_kind import true_ending
    from agentkit_tools.kinds import INSTEAD

    if not content.strip():
        raise UnreadableDocumentError(f"{name} is empty")
    ending = true_ending(PurePosixPath(name).suffix.lower(), content)
    if ending in INSTEAD:
        raise UnreadableDocumentError(
            f"{name} is of a kind that can't be read ({ending}): save it as {INSTEAD[ending]}"
        )
    kind = media_type(content) or ""
    if kind in SUPPORTED:
        raise UnreadableDocumentError(f"{name} is an image: send it as an image, not as a document")
    if kind.startswith("image/") and kind != "image/svg+xml":
        what = _KINDS.get(kind, kind)
        raise UnreadableDocumentError(
            f"{name} is an image of a kind that can't be read ({what}): save it as JPEG or PNG"
        )
    if kind.startswith("video/"):
        raise UnreadableDocumentError(f"{name} is a video or sound, which has no text")


def plain_text(content: bytes) -> str | None:
    """Return what is a text without further ado, in UTF-8 or UTF-16; None for anything else."""
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    try:
        text = content.decode("utf-16" if content.startswith(marks) else "utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _plain_or_refused(name: str, content: bytes) -> str:
    from agentkit_tools.kinds import DOCUMENTS

    text = None if PurePosixPath(name).suffix.lower() in DOCUMENTS else plain_text(content)
    if text is None:
        raise MissingDocumentReaderError(
            f"{name} can't be read here: this service reads plain texts only (its extra 'web' is not installed)"
        )
    return text


def _read_elsewhere(name: str, content: bytes, characters: int, cancel: threading.Event | None) -> tuple[str, int]:
    from agentkit_tools.reader_process import in_reader_process
    from agentkit_tools.unreadable import MissingReaderError, UnreadableError

    try:
        return in_reader_process(
            _read, name, content, characters, size=len(content), context=Context(cancel=cancel), seconds=SECONDS
        )
    except ToolError:
        raise StoppedReadingError from None
    except UnreadableError as error:
        if isinstance(error, MissingReaderError):
            logger.warning("documents of this kind can't be read: %s", error)
            raise MissingDocumentReaderError(f"{name} can't be read here: what reads it is not installed") from None
        raise UnreadableDocumentError(f"{name} can't be read: {error}") from None
    except Exception as error:  # noqa: BLE001 - a hostile file may cause any error in its reader
        logger.warning("a document was not read: %s: %.200s", type(error).__name__, error)
        raise UnreadableDocumentError(f"{name} can't be read: it is damaged") from None


def _read(name: str, content: bytes, characters: int) -> tuple[str, int]:
    """Runs in the other process."""
    from agentkit_tools.file_text import read_file
    from agentkit_tools.page_marks import with_page_lines

    text = with_page_lines(read_file(name, content).text).strip()
    return text[:characters], len(text)
