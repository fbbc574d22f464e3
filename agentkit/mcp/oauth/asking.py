"""JSON of the servers that an MCP server names: their addresses are not trusted, so that only public ones, and the host
of the MCP server itself, are contacted."""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from agentkit._text import in_a_line
from agentkit.errors import FetchError, StatusError
from agentkit.mcp.errors import MCPError
from agentkit.mcp.http.addresses import redirected
from agentkit.net.bounded import CHUNK_BYTES
from agentkit.net.error_body import message_of
from agentkit.net.fetch import fetch
from agentkit.net.pinned import PinnedSession
from agentkit.net.url_guard import AllowList, Deadline, Guard, Target, shown_url, system_resolver

SECONDS = 15.0
MAX_BYTES = 500_000
MAX_WORDS = 300
"""Characters of what a server says of its error."""
UNAUTHORIZED = 401

_JSON = {"Accept": "application/json"}


def failure(message: str) -> MCPError:
    """The error of a failed authorization."""
    return MCPError(message, UNAUTHORIZED)


class Refused(MCPError):
    """A server has refused what it was sent. error: its word for why, such as "invalid_grant"; "" when it has none."""

    def __init__(self, message: str, error: str) -> None:
        super().__init__(message, UNAUTHORIZED)
        self.error = error


def secured(named: str, own: str) -> str:
    """An address that a server names, over TLS where it is at the server's own host: one behind a proxy that ends TLS
    may not know. own: the URL at which the server is reached."""
    if own.startswith("https://") and named.startswith("http://"):
        return redirected(own, named) or named
    return named


class Asking:
    """Asks servers for JSON. own: the URL of the MCP server, whose host may be private. issuer: the URL of the
    authorization server that the program has named, whose host may be, too; None: it has named none."""

    def __init__(self, own: str, issuer: str | None = None) -> None:
        given = [urlsplit(each) for each in (own, issuer) if each]
        self._own = own
        self._allow = [parts.hostname or "" for parts in given]
        self._plain = [parts.hostname for parts in given if parts.scheme == "http"]

    def check(self, url: object, what: str) -> str:
        """Return an address that a server names (see `secured`). Raises MCPError for one that can't be used: it has to
        be HTTPS, but at the host of an MCP server that does without."""
        url = secured(url, self._own) if isinstance(url, str) and url.isprintable() else url
        try:
            parts = urlsplit(url) if isinstance(url, str) and url.isprintable() else None
        except ValueError:
            parts = None
        is_own = parts is not None and parts.hostname in self._plain
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

    def post(self, url: str, what: str, secrets: Iterable[str] = (), **options: Any) -> Mapping[str, Any]:
        """The JSON object that answers a POST. options: `data` (a form) or `json`, `auth`. Raises MCPError, which tells
        the error that the server reports (as Refused, where it is one of OAuth), without the secrets."""
        deadline = Deadline(SECONDS)
        try:
            target = Guard(AllowList(self._allow), system_resolver, deadline).checked(url)
            status, content = _Post(target, deadline).answer(options)
        except FetchError as error:
            raise failure(str(error)) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise failure(f"{what}: {shown_url(url)} gave no answer ({type(error).__name__})") from None
        found = _object(content)
        if 200 <= status < 300 and found is not None:
            return found
        said = f": {in_a_line(_without(secrets, message_of(found)), MAX_WORDS)}" if found else ""
        message = f"{what}: {shown_url(url)} answered {status}{said}"
        if found is None or not 400 <= status < 500:
            raise failure(message)
        raise Refused(message, str(found.get("error") or ""))


class _Post:
    """One POST to a checked address. When time is up its connection is shut down, whatever waits for it: the timeouts
    of sockets begin anew with each byte."""

    def __init__(self, target: Target, deadline: Deadline) -> None:
        self._target, self._deadline = target, deadline
        self._handle: socket.socket | None = None
        self._has_expired = False

    def answer(self, options: Mapping[str, Any]) -> tuple[int, bytes]:
        """The status and the content, cut at the limit. Raises what sockets and HTTP libraries raise."""
        with self._limited(), PinnedSession(self._dial) as session:
            left = self._deadline.left()
            response = session.post(
                self._target.url, headers=_JSON, stream=True, allow_redirects=False, timeout=left, **options
            )
            with contextlib.closing(response):
                self._check_time()  # a connection that was shut down within the headers looks like their end
                return response.status_code, self._content(response)

    def _dial(self) -> socket.socket:
        error = OSError("no address")
        for address in self._target.addresses:
            try:
                connection = socket.create_connection((str(address), self._target.port), self._deadline.left())
            except OSError as failed:
                error = failed
                continue
            self._handle = connection.dup()  # a duplicate, since TLS takes over the socket itself
            if self._has_expired:
                connection.close()
                raise TimeoutError
            return connection
        raise error

    def _content(self, response: requests.Response) -> bytes:
        content = bytearray()
        for chunk in response.raw.stream(CHUNK_BYTES, decode_content=True):
            content += chunk
            if len(content) > MAX_BYTES:
                break
            self._check_time()
        self._check_time()  # a connection that was shut down can look like the end of a body
        return bytes(content)

    def _check_time(self) -> None:
        if self._has_expired:
            raise TimeoutError
        self._deadline.left()

    @contextlib.contextmanager
    def _limited(self) -> Iterator[None]:
        timer = threading.Timer(self._deadline.left(), self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            if self._handle is not None:
                self._handle.close()

    def _expire(self) -> None:
        self._has_expired = True
        if self._handle is not None:
            with contextlib.suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)


def _without(secrets: Iterable[str], text: str) -> str:
    """A text of a server without what it was sent, which some servers repeat."""
    for each in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(each, "(secret)")
    return text


def _object(content: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
