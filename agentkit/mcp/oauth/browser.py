"""Sends a person to the authorization server with their browser, and waits for what it brings back on this machine."""

import contextlib
import secrets
import socket
import time
import webbrowser
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from agentkit._text import short_repr
from agentkit.errors import ConfigurationError
from agentkit.mcp.oauth.asking import failure

SECONDS = 300.0
REQUEST_SECONDS = 2.0
"""How long one request may take: others wait meanwhile."""
MAX_REQUEST = 16_384
PATH = "/callback"
HOSTS = ("127.0.0.1", "localhost")
_DONE = "You can close this window."
_OTHER = "This is not the login that agentkit waits for."


class Browser:
    """Opens a browser. show: is given the address too, for a person whose browser does not open. port: on this machine,
    to which the browser comes back; 0: any, that of an earlier login where it is free. seconds: how long a person may
    take. host: what this machine is called in the address, "127.0.0.1" or "localhost": some authorization servers
    compare it with the one that a client was registered for. Raises ConfigurationError for another one."""

    def __init__(
        self,
        show: Callable[[str], object] = print,
        port: int = 0,
        seconds: float = SECONDS,
        host: str = HOSTS[0],
    ) -> None:
        if host not in HOSTS:
            raise ConfigurationError(
                f"Browser(host={short_repr(host)}): the browser comes back to {' or '.join(HOSTS)}"
            )
        self._show, self._seconds, self._is_fixed, self._host = show, seconds, port != 0, host
        self._listen(port)

    def _listen(self, port: int) -> None:
        self._listening = socket.create_server(("127.0.0.1", port))
        self.redirect_uri = self._address(self._listening.getsockname()[1])

    def _address(self, port: int) -> str:
        return f"http://{self._host}:{port}{PATH}"

    def comes_back_to(self, redirect_uri: str) -> bool:
        """Wait at another address, which was that of an earlier login; returns whether that is possible."""
        port = urlsplit(redirect_uri).port
        if self._is_fixed or not port or redirect_uri != self._address(port):
            return redirect_uri == self.redirect_uri
        if redirect_uri != self.redirect_uri:
            before = self._listening
            try:
                self._listen(port)
            except OSError:  # in use
                return False
            before.close()
        return True

    def __call__(self, url: str) -> str:
        """See `Opener`. What does not come from this login is answered, and nothing else. Raises MCPError when nobody
        comes back in time."""
        self._show(f"Open this address to log in: {url}")
        webbrowser.open(url)
        state, end = _state_of(url), time.monotonic() + self._seconds
        while (left := end - time.monotonic()) > 0:
            self._listening.settimeout(left)
            with contextlib.suppress(OSError):
                path = self._answered(end, state)
                if path is not None:
                    return f"http://127.0.0.1{path}"
        raise failure(f"nobody has logged in within {self._seconds:g} s")

    def _answered(self, end: float, state: str) -> str | None:
        """Answer one request; return its path where it comes from this login."""
        connection, _ = self._listening.accept()
        with connection:
            path = _path_of(_received(connection, min(end, time.monotonic() + REQUEST_SECONDS)))
            is_ours = path.partition("?")[0] == PATH and _is_same(_state_of(path), state)
            with contextlib.suppress(OSError):  # what has arrived counts
                connection.settimeout(REQUEST_SECONDS)
                connection.sendall(_page(is_ours))
        return path if is_ours else None

    def close(self) -> None:
        """Free the port."""
        self._listening.close()


def _received(connection: socket.socket, end: float) -> bytes:
    """The head of a request. Raises TimeoutError, at the latest at `end`."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) < MAX_REQUEST:
        connection.settimeout(max(end - time.monotonic(), 0.001))
        more = connection.recv(MAX_REQUEST)
        if not more:
            break
        data += more
        if time.monotonic() > end:
            raise TimeoutError
    return data


def _path_of(request: bytes) -> str:
    """The path of a GET request; "" for another one."""
    words = request.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return words[1] if len(words) == 3 and words[0] == "GET" else ""


def _state_of(url: str) -> str:
    """The parameter by which a login knows its answer."""
    try:
        return parse_qs(urlsplit(url).query).get("state", [""])[0]
    except ValueError:  # too many parameters, a port that is none
        return ""


def _is_same(found: str, state: str) -> bool:
    """Whether an answer is to a login. A login without a state, which is none of OAuth's, takes any."""
    return not state or secrets.compare_digest(found.encode(), state.encode())


def _page(is_ours: bool) -> bytes:
    body = f"<!doctype html><meta charset=utf-8><title>agentkit</title><p>{_DONE if is_ours else _OTHER}".encode()
    head = f"HTTP/1.1 {'200 OK' if is_ours else '404 Not Found'}\r\nContent-Type: text/html\r\nConnection: close"
    return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
