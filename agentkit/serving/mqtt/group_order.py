"""Keeps the order of a session's messages across the bridges of a group.

The broker assigns each message to one bridge of the group. In addition, each bridge has a second, unshared
subscription, so all bridges see all messages in the same order; they see all answers too. So each bridge knows which
messages of a session precede the one it has to answer, and when they are answered. It waits up to PATIENCE seconds for
messages that were assigned to a bridge that is gone.
"""

import threading
from collections import deque

from cachetools import FIFOCache

PATIENCE = 5.0
"""How long a message waits for preceding ones while no bridge is answering in its session, in seconds."""

COPY_SECONDS = 0.2
"""Time within which the second copy of a message arrives, in seconds."""

MAX_MESSAGES = 50_000
"""Maximum number of waiting messages, and of answered ones, that are remembered."""


class GroupOrder:
    """The order of messages, identified by their ids. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[str, deque[str]] = {}
        self._sessions: dict[str, str] = {}
        self._answered: FIFOCache[str, bool] = FIFOCache(MAX_MESSAGES)

    def published(self, session: str, message_id: str) -> None:
        """Record that a message of a session was published."""
        with self._lock:
            if message_id in self._sessions or message_id in self._answered:
                return  # a duplicate of the same request
            if len(self._sessions) >= MAX_MESSAGES:
                self._drop(next(iter(self._sessions)))
            self._sessions[message_id] = session
            self._queues.setdefault(session, deque()).append(message_id)

    def answered(self, message_id: str, is_retry: bool) -> None:
        """Record that some bridge answered a message. is_retry: whether a later message with this id is a duplicate."""
        with self._lock:
            self._drop(message_id)
            if is_retry:
                self._answered[message_id] = True

    def is_first(self, session: str, message_id: str, waited: float) -> bool:
        """Whether no unanswered message precedes this one. waited: time since its arrival, in seconds."""
        with self._lock:
            queue = self._queues.get(session)
            if queue is None or message_id not in self._sessions:
                return waited > COPY_SECONDS
            return queue[0] == message_id

    def pass_over(self, session: str, message_id: str) -> None:
        """Drop the messages that precede this one."""
        with self._lock:
            queue = self._queues.get(session, deque())
            while queue and queue[0] != message_id and message_id in self._sessions:
                self._drop(queue[0])

    def _drop(self, message_id: str) -> None:
        session = self._sessions.pop(message_id, None)
        if session is None:
            return
        queue = self._queues[session]
        queue.remove(message_id)
        if not queue:
            del self._queues[session]
