"""Addresses and paths as models write them: with what stood around them in a result, or without their beginnings."""

import re
from collections.abc import Iterator

from agentkit_tools.kinds import CODE, DOCUMENTS, TEXT, WITHOUT_TEXT

_LINK = re.compile(r"!?\[[^\[\]]{0,300}\]\(\s*<?([^\s<>]{1,4000})>?\s*\)")
_LABEL = re.compile(
    r"\A(?:\[\d{1,6}\]\s?)?(?:(?:source|url|address|path|file|document)\s?:\s+|view-source:)?", re.IGNORECASE
)
_QUOTES = (("`", "`"), ('"', '"'), ("'", "'"), ("<", ">"), ("“", "”"), ("«", "»"), ("(", ")"))
_SEVERAL = re.compile(r"[,;]?\s{1,9}(?=https?://)", re.IGNORECASE)
_BARE = re.compile(r"(?:[a-z0-9-]{1,63}\.){1,8}([a-z]{2,24})(?::\d{1,5})?(?=[/?#]|\Z)", re.IGNORECASE)
_FILES = TEXT | CODE | DOCUMENTS | WITHOUT_TEXT


def as_meant(written: str) -> str:
    """An address or a path without what a model copies with it: `[3] `, `source: `, quotation marks, a link."""
    whole = written.strip()
    link = _LINK.fullmatch(whole)
    text = link[1] if link else _LABEL.sub("", whole, count=1).strip() or whole
    for begin, end in _QUOTES:
        if len(text) > 2 and text[0] == begin and text[-1] == end:
            text = text[1:-1].strip()
    return text


def addresses_in(written: str) -> Iterator[str]:
    """The addresses in what a model gives as one: several are separated by spaces or lines. A host without a scheme
    ("www.example.org/a") gets https, as in a browser."""
    for text in map(str.strip, _SEVERAL.split(as_meant(written))):
        if text.startswith("//"):
            yield f"https:{text}"
        elif (bare := _BARE.match(text)) and (
            bare.end() < len(text) or text.lower().startswith("www.") or f".{bare[1].lower()}" not in _FILES
        ):
            yield f"https://{text}"
        elif text:
            yield text
