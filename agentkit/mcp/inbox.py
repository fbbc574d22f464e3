"""What a server sends by itself: requests, which are answered, and the news that its tools have changed.

The thread that reads the server waits for none of this: a thread of agentkit's does it.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agentkit._lazy.logs import WARNING, logger_of
from agentkit._threads import WORKERS
from agentkit.errors import ToolError
from agentkit.mcp.channel import ASKED_BY, Message, Patience
from agentkit.mcp.errors import MCPError
from agentkit.mcp.json_size import size_of
from agentkit.mcp.questions import DECLINE, Question, answer_to_request
from agentkit.tooling.error_log import log_raised

logger = logger_of("agentkit")

MAX_WAITING = 1_000
"""The most messages of a server that wait to be answered; others are dropped."""
MAX_QUESTIONS = 8
"""The most questions of a server that are open at once; others are declined."""
MAX_QUESTION, MAX_ID, MAX_METHOD = 100_000, 1_000, 80
"""Characters of a question with its schema (a larger one is declined), of an id (a request with a longer one is
dropped), and of the name of a method that are kept."""
CHANGED, CANCELLED = "notifications/tools/list_changed", "notifications/cancelled"
ELICIT = "elicitation/create"

Reply = Callable[[Message], None]
AnswerTo = Callable[[Question, Patience | None], dict[str, Any]]


@dataclass(eq=False)
class _Received:
    """A message. params: of a question that is to be answered; None for all else, which need none. patience: of the
    call that it belongs to, where that is known. is_withdrawn: whether the server does not want an answer any more."""

    method: str
    id: Any
    reply: Reply
    params: Mapping[str, Any] | None = None
    patience: Patience | None = None
    is_withdrawn: bool = False


class Inbox:
    """Answers the messages of one server. answer: what it is told on a question; may take long; is given the patience
    of the call that the question belongs to, None where that is not known. changed: is called when the tools have
    changed."""

    def __init__(self, label: str, answer: AnswerTo, changed: Callable[[], None] | None) -> None:
        self._label, self._answer_to, self._changed = label, answer, changed
        self._waiting: deque[_Received] = deque()
        self._lock = threading.Lock()
        self._is_answering = False
        self._questions: list[_Received] = []

    def hear(self, message: Message, reply: Reply) -> None:
        """Take a message of the server; waits for nothing."""
        if message["method"] == CANCELLED:
            self._withdraw(message.get("params"))
        if message["method"] != CHANGED and not _has_id(message):
            return
        params = message.get("params") if message["method"] == ELICIT else None
        is_question = isinstance(params, dict) and size_of(params, MAX_QUESTION) <= MAX_QUESTION
        received = _Received(message["method"][:MAX_METHOD], message.get("id"), reply)
        with self._lock:
            if len(self._waiting) >= MAX_WAITING or (self._waiting and self._is_known_news(received)):
                return
            self._waiting.append(received)
            if is_question and len(self._questions) < MAX_QUESTIONS:
                received.params, received.patience = params, ASKED_BY.get()
                self._questions.append(received)
            if self._is_answering:
                return
            self._is_answering = True
        try:
            WORKERS.submit(self._answer_all)
        except RuntimeError:  # no thread can be started now: the next message is answered together with this one
            self._is_answering = False

    def _is_known_news(self, received: _Received) -> bool:
        return {received.method, self._waiting[-1].method} == {CHANGED}

    def _withdraw(self, params: Any) -> None:
        """The server does not wait for the answer to a question any more."""
        number = params.get("requestId") if isinstance(params, dict) else None
        with self._lock:
            for each in self._questions:
                each.is_withdrawn = each.is_withdrawn or each.id == number

    def _answer_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_answering = False
                    return
                received = self._waiting.popleft()
            self._take(received)

    def _take(self, received: _Received) -> None:
        if received.method == CHANGED:
            self._tell_changed()
        elif received.params is None:
            self._answer(received, lambda question: dict(DECLINE))
        else:
            try:
                WORKERS.submit(lambda: self._ask_person(received))
            except RuntimeError:  # no thread can be started now
                self._close_question(received)
                self._answer(received, lambda question: dict(DECLINE))

    def _tell_changed(self) -> None:
        if self._changed is not None:
            try:
                self._changed()
            except Exception as error:  # noqa: BLE001 - it is not the server's fault
                log_raised(logger, WARNING, "the function for changed MCP tools raised", error, self._changed)

    def _ask_person(self, received: _Received) -> None:
        try:
            if received in self._questions and not received.is_withdrawn:
                self._answer(received, lambda question: self._answer_to(question, received.patience))
        finally:
            self._close_question(received)

    def _close_question(self, received: _Received) -> None:
        with self._lock, contextlib.suppress(ValueError):
            self._questions.remove(received)

    def _answer(self, received: _Received, answer_to: Callable[[Question], dict[str, Any]]) -> None:
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": received.id}
        request = {"method": received.method, "params": received.params}
        try:
            try:
                answer["result"] = answer_to_request(request, self._label, answer_to)
            except MCPError as error:
                answer["error"] = {"code": error.code, "message": str(error)}
            if not received.is_withdrawn:
                received.reply(answer)
        except ToolError:  # the server has ended, or does not read
            pass
        except Exception as error:  # noqa: BLE001 - the next message is answered
            log_raised(logger, WARNING, "answering a message of an MCP server raised", error)


def _has_id(message: Message) -> bool:
    """Whether a message is a request, with an id that can be sent back."""
    number = message.get("id")
    return "id" in message and not isinstance(number, list | dict) and size_of(number, MAX_ID) <= MAX_ID
