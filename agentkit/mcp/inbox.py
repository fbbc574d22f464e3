"""What a server sends by itself: requests, which are answered, and the news that its tools have changed.

The thread that reads the server waits for none of this: a thread of agentkit's does it.
"""

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from agentkit._threads import WORKERS
from agentkit.errors import ToolError
from agentkit.mcp.channel import Message
from agentkit.mcp.errors import MCPError
from agentkit.mcp.questions import DECLINE, Question, answer_to_request
from agentkit.tooling.error_log import log_raised

logger = logging.getLogger("agentkit")

MAX_WAITING = 1_000
"""The most messages of a server that wait to be answered; others are dropped."""
MAX_QUESTIONS = 8
"""The most questions of a server that are open at once; others are declined."""
CHANGED = "notifications/tools/list_changed"

Reply = Callable[[Message], None]
AnswerTo = Callable[[Question], dict[str, Any]]


class Inbox:
    """Answers the messages of one server. answer: what it is told on a question; may take long. changed: is called when
    the tools have changed."""

    def __init__(self, label: str, answer: AnswerTo, changed: Callable[[], None] | None) -> None:
        self._label, self._answer_to, self._changed = label, answer, changed
        self._waiting: deque[tuple[Message, Reply]] = deque()
        self._lock = threading.Lock()
        self._is_answering = False
        self._questions = 0

    def hear(self, message: Message, reply: Reply) -> None:
        """Take a message of the server; waits for nothing."""
        if message["method"] != CHANGED and "id" not in message:
            return
        with self._lock:
            if len(self._waiting) >= MAX_WAITING or (self._waiting and self._is_known_news(message)):
                return
            self._waiting.append((message, reply))
            if self._is_answering:
                return
            self._is_answering = True
        WORKERS.submit(self._answer_all)

    def _is_known_news(self, message: Message) -> bool:
        return {message["method"], self._waiting[-1][0]["method"]} == {CHANGED}

    def _answer_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_answering = False
                    return
                message, reply = self._waiting.popleft()
            self._take(message, reply)

    def _take(self, message: Message, reply: Reply) -> None:
        if message["method"] == CHANGED:
            self._tell_changed()
        elif message["method"] == "elicitation/create" and self._questions < MAX_QUESTIONS:
            with self._lock:
                self._questions += 1
            WORKERS.submit(lambda: self._ask_person(message, reply))
        else:
            self._answer(message, reply, lambda question: dict(DECLINE))

    def _tell_changed(self) -> None:
        if self._changed is not None:
            try:
                self._changed()
            except Exception as error:  # noqa: BLE001 - it is not the server's fault
                log_raised(logger, logging.WARNING, "the function for changed MCP tools raised", error, self._changed)

    def _ask_person(self, message: Message, reply: Reply) -> None:
        try:
            self._answer(message, reply, self._answer_to)
        finally:
            with self._lock:
                self._questions -= 1

    def _answer(self, message: Message, reply: Reply, answer_to: AnswerTo) -> None:
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        try:
            answer["result"] = answer_to_request(message, self._label, answer_to)
        except MCPError as error:
            answer["error"] = {"code": error.code, "message": str(error)}
        with contextlib.suppress(ToolError):  # the server has ended, or does not read
            reply(answer)
