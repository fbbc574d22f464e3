"""JSON of the servers that an MCP server names: their addresses are not trusted, so that only public ones, and the host
of the MCP server itself, are contacted."""

import contextlib
import json
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from agentkit.errors import FetchError, StatusError
from agentkit.mcp.errors import MCPError
from agentkit.net.error_body import message_of
from agentkit.net.fetch import fetch
from agentkit.net.pinned import CHUNK_BYTES, PinnedSession
from agentkit.net.url_guard import AllowList, Deadline, Guard, Target, shown_url, system_resolver

SECONDS = 15.0
MAX_BYTES = 500_000
UNAUTHORIZED = 401

_JSON = {"Accept": "application/json"}


def failure(message: str) -> MCPError:
    """The error of a failed authorization."""
    return MCPError(message, UNAUTHORIZED)


class Asking:
    """Asks servers for JSON. own: the URL of the MCP server, whose host may be private."""

    def __init__(self, own: str) -> None:
        parts = urlsplit(own)
        self._allow = [parts.hostname or ""]
        self._is_plain = parts.scheme == "http"

    def check(self, url: object, what: str) -> str:
        """Return an address that a server names. Raises MCPError for one that can't be used: it has to be HTTPS, but
        at the host of an MCP server that does without."""
        try:
            parts = urlsplit(url) if isinstance(url, str) and url.isprintable() else None
        except ValueError:
            parts = None
        is_own = parts is not None and self._is_plain and parts.hostname in self._allow
        if parts is None or not (parts.scheme == "https" or (parts.scheme == "http" and is_own)):
            raise failure(f"{what} is no address that can be used: {shown_url(url)}")
        return str(url)

    def get(self, url: str) -> Mapping[str, Any] | None:
        """The JSON object at an address; None where there is none. Raises MCPError when it can't be reached."""
        try:
            page = fetch(url, timeout=SECONDS, max_bytes=MAX_BYTES, max_redirects=3, allow=self._allow, headers=_JSON)
        except StatusError as error:
            if error.status < 500:
                return None
            raise failure(str(error)) from None
        except FetchError as error:
            raise failure(str(error)) from None
        return _object(page.content)

    def post(self, url: str, what: str, **options: Any) -> Mapping[str, Any]:
        """The JSON object that answers a POST. options: `data` (a form) or `json`, `auth`. Raises MCPError, which tells
        the error that the server reports, and nothing of what was sent."""
        deadline = Deadline(SECONDS)
        try:
            target = Guard(AllowList(self._allow), system_resolver, deadline).checked(url)
            status, content = _posted(target, deadline, options)
        except FetchError as error:
            raise failure(str(error)) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise failure(f"{what}: {shown_url(url)} gave no answer ({type(error).__name__})") from None
        found = _object(content)
        if status >= 400 or found is None:
            said = f": {message_of(found)}" if found else ""
            raise failure(f"{what}: {shown_url(url)} answered {status}{said}")
        return found


def _posted(target: Target, deadline: Deadline, options: Mapping[str, Any]) -> tuple[int, bytes]:
    def dial() -> socket.socket:
        error = OSError("no address")
        for address in target.addresses:
            try:
                return socket.create_connection((str(address), target.port), deadline.left())
            except OSError as failed:
                error = failed
        raise error

    with PinnedSession(dial) as session:
        response = session.post(
            target.url, headers=_JSON, stream=True, allow_redirects=False, timeout=deadline.left(), **options
        )
        with contextlib.closing(response):
            return response.status_code, _content(response, deadline)


def _content(response: requests.Response, deadline: Deadline) -> bytes:
    content = bytearray()
    for chunk in response.raw.stream(CHUNK_BYTES, decode_content=True):
        content += chunk
        deadline.left()
        if len(content) > MAX_BYTES:
            break
    return bytes(content)


def _object(content: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
