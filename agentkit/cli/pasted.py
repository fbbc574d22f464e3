"""The address at which a browser on another machine ends, pasted into the terminal: over SSH or in a container it can't
come back to this machine by itself."""

import contextlib
import os
import select
import socket
import sys
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from agentkit.mcp.oauth.browser import Browser

HINT = "Where the browser is on another machine, paste the address here at which it ends."
MAX_LINE = 16_384
_POLL = 0.2


@contextlib.contextmanager
def pasting(browser: Browser) -> Iterator[None]:
    """Hand what is pasted to the waiting browser, as if that had come back, until the end."""
    if os.name == "nt" or not sys.stdin.isatty():  # Windows can't wait for a terminal
        yield
        return
    print(HINT, file=sys.stderr)
    over = threading.Event()
    thread = threading.Thread(target=_hand_over, args=(browser, over), name="agentkit-pasted", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _hand_over(browser: Browser, over: threading.Event) -> None:
    terminal = sys.stdin.fileno()
    while not over.is_set():
        if not select.select([terminal], [], [], _POLL)[0]:
            continue
        line = os.read(terminal, MAX_LINE)
        if not line:
            return
        with contextlib.suppress(ValueError, OSError):
            _come_back(browser.redirect_uri, line.decode("ascii").strip())


def _come_back(redirect_uri: str, pasted: str) -> None:
    """Request the address on this machine with the parameters of another one. The one that waits looks whether they are
    of its login."""
    own, query = urlsplit(redirect_uri), urlsplit(pasted).query
    if not query or not query.isprintable() or " " in query:
        return
    with socket.create_connection(("127.0.0.1", own.port or 80), 5) as connection:
        connection.sendall(f"GET {own.path}?{query} HTTP/1.1\r\n\r\n".encode())
        connection.recv(MAX_LINE)
