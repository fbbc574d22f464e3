"""Reads the last bytes of a response whose content has arrived, so that its connection can be reused.

An event stream ends (`[DONE]`) before its HTTP message does. A client that stops reading in between closes the
connection and pays for a new one, with TLS, at every turn; the openai package does so.
"""

import contextlib
import socket
from collections import deque
from collections.abc import Iterator
from typing import Any

from agentkit.net.watcher import WATCHER, shut_down_after

DRAIN_SECONDS = 0.1
"""Maximum time, in seconds, to wait for the end of a response; then its connection is shut down."""


def drain(rest: Iterator[Any], connection: object) -> None:
    """Read the rest of a response, for at most DRAIN_SECONDS. connection: its socket, if there is one."""
    if not isinstance(connection, socket.socket):  # a recorded response, or a custom transport
        return
    watched = shut_down_after(connection, DRAIN_SECONDS)
    try:
        with contextlib.suppress(Exception):  # the content is complete already
            deque(rest, maxlen=0)
    finally:
        WATCHER.remove(watched)
