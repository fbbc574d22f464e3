"""One start of a server: the connection is opened and its version agreed on in a thread of agentkit's, for all threads
that wait for it."""

import contextlib
import copy
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from agentkit._threads import WORKERS
from agentkit.errors import AgentkitError, ToolError
from agentkit.mcp.channel import Channel, Heard, Message, Patience
from agentkit.mcp.errors import Gone, MCPError, Slow
from agentkit.mcp.handshake import UNSUPPORTED_VERSION, Handshake, Introduction, Server, result_of
from agentkit.mcp.in_flight import LONG_REQUESTS
from agentkit.mcp.inbox import Reply
from agentkit.mcp.lost_session import says_lost_session
from agentkit.mcp.pipes import came
from agentkit.net.trace_headers import trace_headers

TRACE_KEYS = ("traceparent", "tracestate", "baggage")
LOST_SESSION_CODES = (-32000, -32001, 400, 404)
REPLY_SECONDS = 5.0
"""How long a server may take to read an answer to its own request."""
CLOSE_SECONDS = 5.0
STARTING = "it is still starting (a first start that downloads it may take long: give it a longer timeout)"

IDS = count(1)
"""The ids of requests: of all servers, so that no answer is taken for that to another request."""


def _in_one_thread(error: BaseException) -> BaseException:
    """A new object of the error of a start, to be raised in one of the threads that wait for it."""
    if not isinstance(error, AgentkitError):
        return error
    made = copy.copy(error)
    if isinstance(made, Gone | Slow):
        made.sent = False
    return made


class Opening:
    """A connection, from its start to its end.

    introduction: what the server is told of us. hear: what its own messages are given to, and how they are answered.
    patience: seconds that the start may take without a sign of life.
    may_discover: False where the server is known to end, or to get stuck, at "server/discover".
    """

    def __init__(
        self,
        open_channel: Callable[[Heard], Channel],
        introduction: Introduction,
        hear: Callable[[Message, Reply], None],
        patience: float,
        may_discover: bool,
    ) -> None:
        self._open_channel, self._introduction, self._hear = open_channel, introduction, hear
        self._seconds = patience
        self.fails_at_discover = not may_discover
        self.at = time.monotonic()
        self._cancel = threading.Event()
        self._is_ready = threading.Event()
        self._has_channel = threading.Event()
        self._channel: Channel | None = None
        self._server: Server | None = None
        self._error: BaseException | None = None

    def begin(self) -> None:
        """Start in another thread."""
        try:
            WORKERS.submit(self._run)
        except RuntimeError:  # no thread can be started when the program ends
            self._error = Gone("the program is about to end", sent=False)
            self._is_ready.set()

    def wait(self, patience: Patience) -> Server:
        """Wait until it has started. Raises what went wrong (`sent` is False: no call was), and Slow when it takes
        longer than there is patience."""
        if not self._is_ready.is_set() and not came(self._is_ready.wait, patience):
            raise Slow("the call was cancelled" if patience.is_cancelled else STARTING, sent=False)
        if self._error is not None:
            raise _in_one_thread(self._error)
        assert self._server is not None
        return self._server

    @property
    def is_over(self) -> bool:
        """Whether it has failed, or ended: a new one is needed."""
        if not self._is_ready.is_set():
            return self._cancel.is_set()
        return self._error is not None or self._channel is None or self._channel.is_lost or self._cancel.is_set()

    def ended_by(self) -> str:
        """How it has ended."""
        return getattr(self._channel, "ended_by", "") if self._error is None else str(self._error)

    @property
    def is_process(self) -> bool:
        """Whether a process was started."""
        return bool(getattr(self._channel, "is_process", False))

    def exchange(
        self,
        method: str,
        params: Mapping[str, Any],
        patience: Patience,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send a request once it has started, and return its result. Raises Gone, Slow, MCPError."""
        server = self.wait(patience)
        return self._sent(method, self._with_meta(server, method, params), patience, headers)

    def has_lost_session(self, error: MCPError) -> bool:
        """Whether an error says that the server, over HTTP, does not know the session any more. It may be about the
        work of a tool all the same, which has run."""
        is_session = bool(getattr(self._channel, "session", "")) and error.code in LOST_SESSION_CODES
        return is_session and says_lost_session(str(error))

    def has_other_version(self, error: MCPError) -> bool:
        """Whether an error says that the server, over HTTP, speaks another version now than at the start: it ran
        nothing."""
        return error.code == UNSUPPORTED_VERSION and not self.is_process

    def close(self) -> None:
        """End the connection, also one that is still starting."""
        self._cancel.set()
        self._is_ready.wait(CLOSE_SECONDS)
        self._close_channel()

    def _run(self) -> None:
        if self._is_ready.is_set():  # it was given up, as no thread could be started
            return
        try:
            self._server = self._introduced()
        except BaseException as error:  # noqa: BLE001 - raised in the threads that wait
            self._error = error
            self._close_channel()
        finally:
            self._is_ready.set()
        if self._cancel.is_set():
            self._close_channel()
        elif self._server is not None:
            self._listen(self._server)

    def _introduced(self) -> Server:
        patience = Patience(self._seconds, cancel=self._cancel)
        handshake = self._opened()
        if self.fails_at_discover or getattr(self._channel, "expects_old", False):
            return handshake.initialize(patience)
        try:
            server = handshake.discover(patience)
        except Gone:  # some servers end at any first request but "initialize"
            self._close_channel()
            server = self._opened().initialize(patience)
            self.fails_at_discover = True
            return server
        try:
            return server or handshake.initialize(patience)
        except Slow:
            self.fails_at_discover = handshake.was_silent  # perhaps it is stuck since then
            raise

    def _opened(self) -> Handshake:
        self._channel = channel = self._open_channel(_weakly(self._heard))
        self._has_channel.set()
        return Handshake(channel, self._introduction, self._sent)

    def _heard(self, message: Message) -> None:
        self._hear(message, self._reply)

    def _reply(self, answer: Message) -> None:
        self._has_channel.wait(REPLY_SECONDS)
        if self._channel is not None:
            self._channel.send(answer, Patience(REPLY_SECONDS))

    def _sent(
        self,
        method: str,
        params: Mapping[str, Any],
        patience: Patience,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        channel = self._channel
        if channel is None:
            raise Gone("the connection was closed", sent=False)
        number = next(IDS)
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": number, "method": method}
        if method in LONG_REQUESTS:
            params = {**params, "_meta": {**params.get("_meta", {}), "progressToken": number}}
        if params:
            message["params"] = params
        return result_of(channel.exchange(message, patience, headers))

    def _with_meta(self, server: Server, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        meta = dict(params.get("_meta") or {})
        if server.is_modern:
            meta |= self._introduction.meta(server.version)
        headers = trace_headers()
        meta |= {key: headers[key] for key in TRACE_KEYS if key in headers}
        return {**params, "_meta": meta} if meta else params

    def _listen(self, server: Server) -> None:
        """Have a modern server of ours say when its tools change; others say so unasked."""
        if not (server.is_modern and self.is_process and server.lists_change):
            return
        params = self._with_meta(server, "subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        message = {"jsonrpc": "2.0", "id": next(IDS), "method": "subscriptions/listen", "params": params}
        with contextlib.suppress(ToolError):
            if self._channel is not None:  # what it answers is skipped: it comes when the subscription ends
                self._channel.send(message, Patience(REPLY_SECONDS))

    def _close_channel(self) -> None:
        if self._channel is not None:
            self._channel.close()


def _weakly(method: Heard) -> Heard:
    """A method that does not keep its object: the threads of a channel must not, so that it is closed when nobody has
    it any more."""
    reference = weakref.WeakMethod(method)

    def call(message: Message) -> None:
        found = reference()
        if found is not None:
            found(message)

    return call
