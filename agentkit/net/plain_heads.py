"""Heads of responses in the plain form, which nearly all servers write: they are read with one expression.
`http.client` has the parser for emails read the headers, which takes longer than all else of a response."""

import re
from collections.abc import Sequence

from agentkit._lazy.records import dataclass

_HEAD = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2})(?: ([ -~]*))?\r\n((?:[!-9;-~]+:[\t -~]*\r\n){1,64})\r\n")
_LENGTH = re.compile(r"[0-9]{1,18}")
_WITHOUT_BODY = (204, 304)
_READ_AS_MAIL = ("multipart", "message")
"""Types in whose bodies the parser for emails looks for messages."""


@dataclass
class PlainHead:
    """What a head says. size: in bytes. length: of the body; None where it comes in chunks. closes: whether the
    connection ends with the response."""

    size: int
    status: int
    reason: str
    headers: Sequence[tuple[str, str]]
    length: int | None
    closes: bool


def plain_head(data: bytes) -> PlainHead | None:
    """Return the head with which these bytes begin. None where it is not complete, or says anything in a form that is
    not the plain one, such as the length of the body."""
    found = _HEAD.match(data)
    if found is None or (status := int(found[1])) in _WITHOUT_BODY:
        return None
    lines = found[3].decode().split("\r\n")
    split = [line.partition(":") for line in lines[:-1]]
    headers = [(name, value.lstrip(" \t")) for name, _, value in split]
    values = {name.lower(): value for name, value in reversed(headers)}  # of several with one name the first counts
    if values.get("content-type", "").lower().startswith(_READ_AS_MAIL):
        return None
    length, coding = values.get("content-length", ""), values.get("transfer-encoding")
    if coding is None:
        if not _LENGTH.fullmatch(length):
            return None
    elif coding != "chunked":
        return None
    return PlainHead(
        found.end(),
        status,
        (found[2] or b"").decode().strip(),
        headers,
        int(length) if coding is None else None,
        "close" in values.get("connection", "").lower(),
    )
