"""Mails."""

import email
import re
from collections.abc import Iterator, Sequence
from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import Any

from agentkit import Page
from agentkit_tools.file_text.form import FileText, joined, of_page, one_line
from agentkit_tools.page_text import readable
from agentkit_tools.unreadable import UnreadableError

SHOWN = ("From", "To", "Cc", "Date", "Subject")
ADDRESSES = frozenset(("from", "to", "cc", "bcc", "reply-to", "sender"))
"""Headers of several addresses, with commas between them."""
MAX_HEADER = 2_000
"""Characters of a header that are read: the time for one grows with the square of its length."""


_BEGIN_OF_MAIL = re.compile(rb"(?:\A|\n\r?\n)From [^\r\n]{0,1000}\r?\n")

RICHER = 5
"""How many times as long as the plain text of a mail its page is when that is read instead: some senders write into the
plain text only that it can't be shown."""


class _Policy(EmailPolicy):
    """Reads the beginning of each header. A malformed one is shown as it is written, and says nothing of a part."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        if len(value) > MAX_HEADER:
            value = value[:MAX_HEADER]
            if name.lower() in ADDRESSES and "," in value:
                value = value[: value.rfind(",")]
        try:
            return super().header_fetch_parse(name, value)
        except (ValueError, LookupError, TypeError, AttributeError):  # of email, for malformed ones
            return super().header_fetch_parse(name, "") if name.lower().startswith("content-") else one_line(value)


def read_mail(path: str, content: bytes) -> FileText:
    """A mail: who wrote it, when, its texts with those of the mails in it, and the names of what is attached."""
    message = _parsed(content)
    return FileText(str(message["Subject"] or ""), _read(_mail(path, message)))


def read_saved_page(path: str, content: bytes) -> FileText:
    """A page that a browser has saved with its pictures (mht, mhtml)."""
    if content.lstrip().startswith(b"<"):
        return of_page(readable(Page(path, 200, "text/html", None, content)))
    message = _parsed(content)
    return FileText(str(message["Subject"] or ""), _read(_texts(path, message)))


def read_mailbox(path: str, content: bytes) -> FileText:
    """The mails in a file of many (mbox), in their order."""
    mails = _BEGIN_OF_MAIL.split(content)
    return FileText(
        "", _read(part for mail in mails if mail.strip() for part in _mail(path, _parsed(_unescaped(mail))))
    )


def _unescaped(mail: bytes) -> bytes:
    """A mail without the signs before lines that begin as a mail does in its file."""
    return re.sub(rb"^>(?=>{0,99}From )", b"", mail, flags=re.MULTILINE)


def texts_of_mail(path: str, content: bytes) -> str:
    """The texts of a mail alone."""
    return _read(_texts(path, _parsed(content)))


def _parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=_Policy())
    if not isinstance(message, EmailMessage):
        raise UnreadableError("it is not a mail")
    return message


def _read(parts: Iterator[str]) -> str:
    try:
        return joined(parts)
    except (ValueError, LookupError, TypeError, AttributeError, IndexError):  # of email, for damaged mails
        raise UnreadableError("the mail is damaged") from None


def _mail(path: str, message: EmailMessage) -> Iterator[str]:
    yield "\n".join(f"{name}: {message[name]}" for name in SHOWN if message[name])
    yield from _texts(path, message)
    attached = [name for part in _leaves(message) if not _is_shown(part) and (name := part.get_filename())]
    if attached:
        yield f"Attached: {', '.join(attached)}"


def _texts(path: str, part: EmailMessage) -> Iterator[str]:
    """The texts of a part in their order: some programs divide a text where a picture stands, and put what is forwarded
    behind it as a mail."""
    kind = part.get_content_type()
    if kind == "message/rfc822":
        for mail in _parts(part):
            yield from _mail(path, mail)
    elif kind == "multipart/alternative":
        yield _best(path, _parts(part))
    elif kind == "multipart/related":
        yield from (text for root in _parts(part)[:1] for text in _texts(path, root))
    elif part.is_multipart():
        yield from (text for each in _parts(part) for text in _texts(path, each))
    elif _is_shown(part):
        yield _text(path, part)


def _best(path: str, parts: list[EmailMessage]) -> str:
    """The plain text of several forms of one text, its page where that says many times as much, or the richest one that
    has a text."""
    plain = _first_text(path, [part for part in parts if part.get_content_type() == "text/plain"])
    pages = [part for part in reversed(parts) if part.get_content_type() == "text/html" or part.is_multipart()]
    page = _first_text(path, pages)
    return (page if len(page) > RICHER * len(plain) else plain) or _first_text(path, parts[::-1])


def _first_text(path: str, parts: Sequence[EmailMessage]) -> str:
    texts = (joined(_texts(path, part)) for part in parts)
    return next((text for text in texts if text.strip()), "")


def _parts(part: EmailMessage) -> list[EmailMessage]:
    found = part.get_payload()
    return [each for each in found if isinstance(each, EmailMessage)] if isinstance(found, list) else []


def _leaves(message: EmailMessage) -> Iterator[EmailMessage]:
    """The parts of a mail without those of the mails in it."""
    for part in [message] if not message.is_multipart() else _parts(message):
        if part.is_multipart() and part.get_content_type() != "message/rfc822":
            yield from _leaves(part)
        else:
            yield part


def _is_shown(part: EmailMessage) -> bool:
    return part.get_content_maintype() == "text" and not part.is_attachment()


def _text(path: str, part: EmailMessage) -> str:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    return readable(Page(path, 200, part.get_content_type(), part.get_content_charset(), content)).text
