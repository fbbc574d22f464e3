"""Sends a person to the authorization server with their browser, and waits for what it brings back on this machine."""

import contextlib
import socket
import time
import webbrowser
from collections.abc import Callable
from urllib.parse import urlsplit

from agentkit.mcp.oauth.asking import failure

SECONDS = 300.0
MAX_REQUEST = 16_384
PATH = "/callback"
_DONE = b"<!doctype html><meta charset=utf-8><title>agentkit</title><p>You can close this window."


class Browser:
    """Opens a browser. show: is given the address too, for a person whose browser does not open. port: on this machine,
    to which the browser comes back; 0: any. seconds: how long a person may take."""

    def __init__(self, show: Callable[[str], object] = print, port: int = 0, seconds: float = SECONDS) -> None:
        self._show, self._seconds = show, seconds
        self._listening = socket.create_server(("127.0.0.1", port))
        self.redirect_uri = f"http://127.0.0.1:{self._listening.getsockname()[1]}{PATH}"

    def __call__(self, url: str) -> str:
        """See `Opener`. Raises MCPError when nobody comes back in time."""
        self._show(f"Open this address to log in: {url}")
        webbrowser.open(url)
        end = time.monotonic() + self._seconds
        while (left := end - time.monotonic()) > 0:
            self._listening.settimeout(left)
            with contextlib.suppress(OSError):
                path = self._answered()
                if urlsplit(path).path == PATH:
                    return f"http://127.0.0.1{path}"
        raise failure(f"nobody has logged in within {self._seconds:g} s")

    def _answered(self) -> str:
        """Answer one request, and return its path."""
        connection, _ = self._listening.accept()
        with connection:
            connection.settimeout(5)
            data = b""
            while b"\r\n\r\n" not in data and len(data) < MAX_REQUEST:
                more = connection.recv(MAX_REQUEST)
                if not more:
                    break
                data += more
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
                % (len(_DONE), _DONE)
            )
        words = data.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        return words[1] if len(words) == 3 and words[0] == "GET" else ""

    def close(self) -> None:
        """Free the port."""
        self._listening.close()
