"""What a file of servers says of the login to one: as the command that logs in."""

import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_CLIENT = ("clientId", "client_id", "CLIENT_ID")
_SECRET = ("clientSecret", "client_secret", "CLIENT_SECRET")
_SCOPES = ("scopes", "scope")


def login_advice(url: str, given: Mapping[str, Any], text_of: Callable[[str, Any], str]) -> str:
    """How somebody logs in to a server with what `oauth` of Claude Code, opencode, Gemini CLI and Zed, or `auth` of
    Cursor, says; "" where it says nothing that is needed for that. text_of: a text of the file with its variables
    replaced. Raises ConfigurationError for a value of a wrong kind."""
    words = list(_words(given, text_of))
    if not words:
        return ""
    if any(given.get(key) for key in _SECRET):
        return "its login has a client_secret: give MCP(url, auth=OAuth(client_id=..., client_secret=..., issuer=...))"
    return f"log in by {shlex.join(['agentkit', 'mcp', 'login', url, *words])}"


def _words(given: Mapping[str, Any], text_of: Callable[[str, Any], str]) -> Iterator[str]:
    client = next((key for key in _CLIENT if given.get(key) is not None), None)
    if client is not None:
        yield from ("--client-id", text_of(f"oauth.{client}", given[client]))
    scopes = next((key for key in _SCOPES if given.get(key)), None)
    if scopes is not None:
        several = given[scopes] if isinstance(given[scopes], list) else [given[scopes]]
        yield from ("--scope", " ".join(text_of(f"oauth.{scopes}", each) for each in several))
    port = given.get("callbackPort")
    if isinstance(port, int) and not isinstance(port, bool):
        yield from ("--port", str(port), "--host", "localhost")
