"""What a Word document imports when it is opened: pages, mails and texts of other programs in it."""

import re

from agentkit import Page
from agentkit_tools.file_text.mail import texts_of_mail
from agentkit_tools.file_text.texts import decoded
from agentkit_tools.page_text import readable
from agentkit_tools.unreadable import UnreadableError

HEAD = 1_000
"""Bytes at the beginning that say what a part is: its name and its type are chosen by the program that wrote it."""


def imported_text(path: str, content: bytes) -> str:
    """The text of a part that is imported, or a note when it is of a kind that is not read."""
    head = content[:HEAD]
    try:
        if head.startswith((b"PK\x03\x04", rb"{\rtf")):
            raise UnreadableError("it is a document of its own")
        if re.match(rb"\s{0,9}(?:MIME-Version|Content-Type|From|Date|Subject):", head, re.IGNORECASE):
            return texts_of_mail(path, content)
        if re.search(rb"<(?:!doctype html|html|head|body|div|p|table|h[1-6]|ul|ol|span)\b", head, re.IGNORECASE):
            return readable(Page(path, 200, "text/html", None, content)).text
        return decoded(path, content)
    except UnreadableError as error:
        return f"[… what is imported here was not read: {error}]"
