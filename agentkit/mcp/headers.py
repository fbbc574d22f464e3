"""The headers that a user gives for a server over HTTP."""

import re
from collections.abc import Mapping
from typing import Any

from agentkit._text import short_repr
from agentkit.errors import ConfigurationError

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OWN = frozenset(
    (
        *("content-length", "transfer-encoding", "content-type", "accept", "connection", "last-event-id"),
        *("mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name"),
    )
)
"""Headers that a user can't set."""


def checked_headers(headers: Any) -> dict[str, str]:
    """Return the headers; None: there are none. Raises ConfigurationError, which shows no value."""
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise ConfigurationError(f"headers= has to be a mapping of texts, and is a {type(headers).__name__}")
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"headers=: {short_repr(name)} is not the name of a header: write letters, digits and dashes"
            )
        if name.lower() in _OWN or name.lower().startswith("mcp-param-"):
            raise ConfigurationError(f"headers=: {name} is set for each request: leave it out")
        if not isinstance(value, str):
            raise ConfigurationError(f"headers=: {name} has to be a text, and is a {type(value).__name__}")
        if "\n" in value or "\r" in value:
            raise ConfigurationError(f"headers=: {name} contains a line break: remove it, at the end of the value too")
        if value != value.strip() or not value.isprintable() or not value.isascii():
            raise ConfigurationError(
                f"headers=: {name} contains a character that can't be sent (a space at its end, a control character, a "
                "letter of another alphabet): type or copy it anew"
            )
    return dict(headers)
