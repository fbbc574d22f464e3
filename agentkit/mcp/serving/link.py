"""Where a message came from, and what goes back there while it is answered."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentkit.mcp.serving.asked import Asked
from agentkit.mcp.serving.calls import Notify
from agentkit.mcp.serving.envelope import Headers
from agentkit.mcp.serving.questions import can_fill_forms


class Session:
    """What is known of a client between its messages: its version, and its calls that are running. version: the one
    that was agreed on, "" before `initialize`. capabilities: what the client has said then that it can do. asked: the
    questions to it."""

    def __init__(self) -> None:
        self.version = ""
        self.capabilities: Mapping[str, Any] = {}
        self.asked = Asked()
        self._running: dict[Any, threading.Event] = {}
        self._lock = threading.Lock()

    def begin(self, number: Any, cancel: threading.Event) -> None:
        """A call begins. number: its id."""
        with self._lock:
            self._running[_key(number)] = cancel

    def end(self, number: Any, cancel: threading.Event) -> None:
        """A call has ended."""
        with self._lock:
            if self._running.get(_key(number)) is cancel:
                del self._running[_key(number)]

    @property
    def is_running(self) -> bool:
        """Whether calls are running."""
        return bool(self._running)

    def cancel(self, number: Any) -> None:
        """Cancel the call of this id; one that has ended is none of ours any more."""
        with self._lock:
            found = self._running.get(_key(number))
        if found is not None:
            found.set()

    def close(self) -> None:
        """Cancel all calls."""
        with self._lock:
            running = list(self._running.values())
        for each in running:
            each.set()


def _key(number: Any) -> tuple[str, str]:
    return type(number).__name__, str(number)


def _ignored(_: Any) -> None:
    """A notification that nobody can be sent."""


@dataclass
class Link:
    """One message's way. session: of its client. notify: sends a notification to it; may be called by any thread.
    headers: of an HTTP request; None for another transport. asks: whether `notify` sends requests, too, whose answers
    come back (on standard output). opened: told the new session of an `initialize`; returns
    its id, "" where sessions have none."""

    session: Session
    notify: Notify = _ignored
    headers: Headers | None = None
    opened: Callable[[Session], str] = lambda _: ""
    asks: bool = False
    _cancels: list[threading.Event] = field(default_factory=list)
    _is_closed: bool = False

    @property
    def able(self) -> Mapping[str, Any] | None:
        """What a client with a handshake can be asked for; None where it can't be asked."""
        able = self.session.capabilities if self.asks else {}
        return able if can_fill_forms(able) else None

    def new_cancel(self) -> threading.Event:
        """The cancel token of a call, which is set when the link is closed."""
        cancel = threading.Event()
        self._cancels.append(cancel)
        if self._is_closed:
            cancel.set()
        return cancel

    def close(self) -> None:
        """Nobody waits for the answer any more."""
        self._is_closed = True
        for each in self._cancels:
            each.set()
