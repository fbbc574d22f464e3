"""Questions to the client of a connection with a handshake (up to 2025-11-25): requests of the server, which wait for
their answers while the call goes on."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any

from agentkit._threads import POLL_INTERVAL
from agentkit.mcp.serving.protocol import Message
from agentkit.mcp.serving.questions import SECONDS, NeedsInput

WITH_MODES = "2025-11-25"
"""The version from which on a question says that it is a form."""
_NO_ANSWER: Mapping[str, Any] = {"action": "cancel"}


class Asked:
    """The questions to one client that have no answer yet."""

    def __init__(self) -> None:
        self._waiting: dict[str, SimpleQueue[Mapping[str, Any]]] = {}
        self._numbers = count(1)

    def answers(
        self, needs: NeedsInput, send: Callable[[Message], None], cancel: threading.Event, version: str
    ) -> dict[str, Mapping[str, Any]] | None:
        """What the client answers to the questions of a call, by their keys; None where the call is cancelled
        meanwhile. What is not answered within SECONDS, or with an error, counts as not answered by its user."""
        found: dict[str, Mapping[str, Any]] = {}
        for key, question in needs.requests.items():
            answer = self._answer(question, send, cancel, version)
            if answer is None:
                return None
            found[key] = answer
        return found

    def take(self, message: Mapping[str, Any]) -> None:
        """An answer of the client; one to no question is dropped."""
        waiting = self._waiting.get(str(message.get("id")))
        if waiting is not None:
            result = message.get("result")
            waiting.put(result if isinstance(result, Mapping) else _NO_ANSWER)

    def _answer(
        self, question: Message, send: Callable[[Message], None], cancel: threading.Event, version: str
    ) -> Mapping[str, Any] | None:
        number = f"agentkit-{next(self._numbers)}"
        waiting: SimpleQueue[Mapping[str, Any]] = SimpleQueue()
        self._waiting[number] = waiting
        params = {key: each for key, each in question["params"].items() if key != "mode" or version >= WITH_MODES}
        try:
            send({"jsonrpc": "2.0", "id": number, "method": question["method"], "params": params})
            answer = _waited_for(waiting, cancel)
            if answer is not None:
                return answer
            gone = {"requestId": number, "reason": "nobody waits for the answer any more"}
            send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": gone})
            return None if cancel.is_set() else _NO_ANSWER
        finally:
            del self._waiting[number]


def _waited_for(waiting: SimpleQueue[Mapping[str, Any]], cancel: threading.Event) -> Mapping[str, Any] | None:
    """What comes within SECONDS; None for nothing, and where the call is cancelled before."""
    end = time.monotonic() + SECONDS
    while not cancel.is_set() and (left := end - time.monotonic()) > 0:
        with contextlib.suppress(Empty):
            return waiting.get(timeout=min(left, POLL_INTERVAL))
    return None
