"""Why a page or a file is not read."""


class UnreadableError(Exception):
    """A page or a file has no text that can be read; the message gives the reason."""


class DamagedPartError(UnreadableError):
    """A part of a document is damaged; others may be read."""


class TooComplexError(UnreadableError):
    """It takes more time or memory than may be spent on it."""


class NotNowError(UnreadableError):
    """A file is not read now, for a reason that is not in the file; it is tried again in the next process."""


class ForTheMomentError(NotNowError):
    """What is missing to read a file may be there in a moment; it is tried again by this process too."""


class MissingReaderError(UnreadableError):
    """The package that reads a kind of file is not installed."""


def why_broken(content: bytes, otherwise: str) -> str:
    """The reason why a document can't be read: what was downloaded in its place may be an error page. otherwise: the
    reason for any other content."""
    head = content[:2_000].lstrip().lower()
    if head.startswith(rb"{\rtf"):
        return "it is an RTF text under another name: save it as docx"
    is_page = head.startswith((b"<!doctype html", b"<html")) or (head.startswith(b"<") and b"<html" in head)
    return "it is a web page under another name, perhaps an error that was saved in its place" if is_page else otherwise
