"""Mails."""

import email
from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import Any

from agentkit import Page
from agentkit_tools.file_text.form import FileText, joined
from agentkit_tools.page_text import readable
from agentkit_tools.unreadable import UnreadableError

SHOWN = ("From", "To", "Cc", "Date", "Subject")
MAX_HEADER = 2_000
"""Characters of a header that are read: the time for one grows with the square of its length."""


class _Policy(EmailPolicy):
    """Reads the beginning of each header."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return super().header_fetch_parse(name, value[:MAX_HEADER])


def read_mail(path: str, content: bytes) -> FileText:
    """A mail: who wrote it, when, its text, and the names of what is attached."""
    message = email.message_from_bytes(content, policy=_Policy())
    if not isinstance(message, EmailMessage):
        raise UnreadableError("it is not a mail")
    try:
        heads = [f"{name}: {message[name]}" for name in SHOWN if message[name]]
        attached = [name for part in message.iter_attachments() if (name := part.get_filename())]
        text = _body(path, message)
    except (ValueError, LookupError, TypeError, AttributeError, IndexError):  # of email, for damaged mails
        raise UnreadableError("the mail is damaged") from None
    names = [f"Attached: {', '.join(attached)}"] if attached else []
    return FileText(str(message["Subject"] or ""), joined(["\n".join(heads), text, *names]))


def _body(path: str, message: EmailMessage) -> str:
    body = message.get_body(("plain", "html"))
    if body is None:
        return ""
    content = body.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    return readable(Page(path, 200, body.get_content_type(), body.get_content_charset(), content)).text
