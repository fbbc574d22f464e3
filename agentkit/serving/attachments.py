"""Documents that a user sends with a message: the text of each, with its name.

In a message they are text parts behind the message's own text, so that what a user has typed is never taken for one,
whatever it says.
"""

import html
from dataclasses import dataclass
from typing import Any

from agentkit._lazy.patterns import pattern
from agentkit.message import Message

_BEGINS = '<attachment name="'
_TITLE_ENDS = '">\n'
_ENDS = "\n</attachment>"
_CLOSING_TAG = pattern(r"<(?=\s*/\s*attachment)")


@dataclass(frozen=True)
class Attached:
    """A document in a message. text: as the model sees it."""

    name: str
    text: str


def attachment_text(name: str, text: str) -> str:
    """A document as the model reads it. A closing tag in its text is escaped, so that what stands in a document can't
    go on as the user."""
    return f"{_BEGINS}{html.escape(name)}{_TITLE_ENDS}{_CLOSING_TAG.sub('&lt;', text.strip())}{_ENDS}"


def attachment_part(name: str, text: str) -> str:
    """The same as a part of a message; servers put the parts of a message together without anything between them."""
    return f"\n\n{attachment_text(name, text)}"


def with_attachments(message: Message) -> tuple[str, list[Attached]]:
    """The text of a user message that the user has typed, and the documents behind it."""
    content: Any = message.get("content")
    if not isinstance(content, list):
        return content or "", []
    texts = [part.get("text") or "" for part in content if part.get("type") == "text"]
    found = [None, *map(_attached, texts[1:])]  # the first text is the user's
    own = "".join(text for text, attached in zip(texts, found, strict=False) if attached is None)
    return own, [each for each in found if each is not None]


def _attached(part: str) -> Attached | None:
    text = part.removeprefix("\n\n")
    name, ends, rest = text.removeprefix(_BEGINS).partition(_TITLE_ENDS)
    if not (text.startswith(_BEGINS) and ends and rest.endswith(_ENDS)):
        return None
    return Attached(html.unescape(name), rest.removesuffix(_ENDS))
