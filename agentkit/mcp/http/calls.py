"""The requests that wait for their answers, and what is done with each message of a server."""

import threading
from collections.abc import Mapping
from queue import Empty, SimpleQueue
from typing import Any

from agentkit._forking import freed_by_forks
from agentkit._lazy.logs import WARNING, logger_of
from agentkit._threads import POLL_INTERVAL
from agentkit.errors import ToolError
from agentkit.mcp.channel import ASKED_BY, Heard, Message, Patience
from agentkit.mcp.errors import Gone, Slow
from agentkit.mcp.http.sending import Flight
from agentkit.mcp.progress import progress_text
from agentkit.net.abort import Aborted
from agentkit.tooling.error_log import log_raised

logger = logger_of("agentkit.mcp")


class Call:
    """A request and its answer. One thread waits for it, others work on it.

    flight: its HTTP requests. is_settled: whether there is an answer, or an error. is_ending: whether that is of the
    thread that works on it, which is done as soon as it has read the rest of the response. was_accepted: whether the
    server has begun to answer.
    """

    def __init__(self, message: Message, patience: Patience, where: str) -> None:
        self.message = message
        self.id = message.get("id")
        self.token = meta_of(message).get("progressToken")
        self.patience = patience
        self.flight = Flight()
        self.is_settled = self.is_ending = self.was_accepted = False
        self._where = where
        self._is_left = threading.Event()
        self._outcomes: SimpleQueue[Message | BaseException] = SimpleQueue()

    def settle(self, outcome: Message | BaseException, is_ending: bool = False) -> None:
        """Give the answer, or the error; the first one counts."""
        self.is_ending = self.is_ending or is_ending
        self.is_settled = True
        if isinstance(outcome, ToolError):  # its frames would hold the call, and connections, in a circle
            outcome = outcome.with_traceback(None)
            outcome.__context__ = None
        self._outcomes.put(outcome)

    def wait(self) -> Message:
        """Wait for the answer. Raises the error, Slow when time is up."""
        while True:
            left = self.patience.left
            try:
                outcome = self._outcomes.get(timeout=left if self.patience.cancel is None else min(left, POLL_INTERVAL))
            except Empty:
                if self.patience.left:
                    continue
                raise self._slow() from None
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

    def _slow(self) -> Slow:
        if self.patience.is_cancelled:
            return Slow(f"the request to {self._where} was cancelled", self._may_have_run)
        return Slow(
            f"{self._where} did not answer within {self.patience.timeout:g} s; the request was cancelled",
            self._may_have_run,
        )

    @property
    def _may_have_run(self) -> bool:
        return self.was_accepted or self.flight.was_sent

    def leave(self) -> None:
        """Nobody waits for it any more: end what works on it, but for what only reads the rest of its answer. An answer
        that came on another stream, and the end of the connection, leave a thread that waits for a response."""
        self._is_left.set()
        if not self.is_ending:
            self.flight.abort()

    def pause(self, seconds: float) -> None:
        """Wait, in a thread that works on it. Raises Aborted when nobody waits for it any more."""
        if self._is_left.wait(seconds):
            raise Aborted

    def owns(self, message: Message) -> bool:
        """Whether a message answers this call. An error may have no id, and some servers make a text of a number."""
        found = message.get("id")
        return found == self.id or _key(found) == _key(self.id) or (found is None and "error" in message)


class Calls:
    """The calls of one channel that wait. heard: see `Heard`."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._lock = freed_by_forks(threading.Lock())
        self._waiting: dict[Any, Call] = {}

    def begin(self, call: Call) -> None:
        """Have a call be found by its id."""
        with self._lock:
            self._waiting[_key(call.id)] = call

    def end(self, call: Call) -> None:
        """Forget a call."""
        call.leave()
        with self._lock:
            if self._waiting.get(_key(call.id)) is call:
                del self._waiting[_key(call.id)]

    def fail(self, error: Gone) -> None:
        """End all calls with an error."""
        for call in self._all():
            call.settle(error)

    def _all(self) -> list[Call]:
        with self._lock:
            return list(self._waiting.values())

    def deliver(self, message: Message, to: Call | None = None) -> bool:
        """Take in a message of the server; returns whether it is the answer to `to`. to: the call on whose stream it
        has arrived; None: on a stream for all."""
        if not isinstance(message.get("method"), str):
            return self._answered(message, to)
        if message["method"] == "notifications/progress":
            self._progressed(message)
            return False
        if to is not None and "id" in message:
            to.patience.heard()  # it asks something because of the call
        asked_by = ASKED_BY.set(None if to is None else to.patience)
        try:
            self._heard(message)
        except Exception as error:  # noqa: BLE001 - the call goes on
            log_raised(logger, WARNING, "hearing a message of an MCP server raised", error)
        finally:
            ASKED_BY.reset(asked_by)
        return False

    def _answered(self, message: Message, to: Call | None) -> bool:
        if to is not None and to.owns(message):
            to.settle({**message, "id": to.id}, is_ending=True)
            return True
        with self._lock:
            call = self._waiting.get(_key(message.get("id")))
        if call is not None and to is None:
            call.settle(message)
        return False

    def _progressed(self, message: Message) -> None:
        params = message.get("params")
        token = params.get("progressToken") if isinstance(params, Mapping) else None
        call = next((each for each in self._all() if each.token is not None and each.token == token), None)
        if call is not None and isinstance(params, Mapping):
            call.patience.heard(progress_text(params))

    def renew_in_child(self) -> None:
        """In a child: the calls of the parent are not its own."""
        self._waiting = {}


def meta_of(message: Message) -> Mapping[str, Any]:
    """The `_meta` of a request; empty when it has none."""
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, Mapping) else None
    return meta if isinstance(meta, Mapping) else {}


def _key(value: object) -> str:
    return str(value) if value is None or isinstance(value, str | int | float) else type(value).__name__
