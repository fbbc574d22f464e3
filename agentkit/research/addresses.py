"""Addresses of sources as links: http, https and mailto alone."""

import re
from urllib.parse import quote, urlsplit

from agentkit._text import joined_surrogates

_SAFE = "!#$%&'*+,-./:;=?@_~[]()"


def web_address(address: str) -> str:
    """An address that may be a link, with everything escaped that is none of a URL's characters; "" for any other."""
    text = joined_surrogates(address.strip())
    if not re.match(r"(?:https?://|mailto:)[^\s/]", text, re.IGNORECASE):
        return ""
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        plain = host if host.isascii() else host.encode("idna").decode()
    except (ValueError, UnicodeError):
        return ""
    if parts.scheme.lower() in ("http", "https"):
        if not re.fullmatch(r"[\w.:%-]+", plain, re.ASCII):
            return ""
        text = text.replace(host, plain, 1) if not host.isascii() else text
    return quote(text, safe=_SAFE)
