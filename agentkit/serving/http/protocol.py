"""uvicorn's HTTP/1.1 connection with limits of time and number, and JSON errors."""

import asyncio
import json
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from agentkit.serving.http.connections import UnreadLimit, connections_in
from agentkit.serving.http.gate import OVERLOADED
from agentkit.serving.http.middleware import HEADERS

HEAD_BYTES = 16 * 1024
"""How long the head of a request may be that has not arrived whole; the same for what stands between the pieces of a
body, and after them. llhttp itself has no limit."""

PIPELINED = 16
"""How many requests of a connection may wait for the responses to earlier ones."""

LINGER_SECONDS = 5.0
"""Seconds that a client may go on sending a body whose request was answered without it. Closing at once would make its
system drop the answer."""


class _Transport:
    """A transport that is closed gently: see `LimitedProtocol.leave`."""

    def __init__(self, transport: Any, protocol: "LimitedProtocol") -> None:
        self._transport = transport
        self._protocol = protocol

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        self._protocol.leave()

    def is_closing(self) -> bool:
        return self._protocol.is_leaving or self._transport.is_closing()


class LimitedProtocol(UnreadLimit, HttpToolsProtocol):
    """A connection to a client.

    Its time is limited while it receives a head or a body, and while the client reads nothing of a response; so is the
    size of a head. uvicorn itself limits how long it is idle between requests. is_receiving: whether the body of a
    request is not complete.
    """

    __slots__ = (  # more attributes in its dict would make that five times as large
        *("_answered", "_connections", "_deadline", "_discarded", "_is_broken", "_is_resumed", "_is_upgraded"),
        *("_limits", "_phase", "_raw", "_unparsed", "_wrapped", "is_leaving", "is_receiving"),
    )

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._connections = connections_in(app_state)
        self._limits = self._connections.limits
        self._wrapped = self.app
        self.app = self._run
        self._raw: Any = None
        self._answered: RequestResponseCycle | None = None  # `cycle` is that of the last request that has arrived
        self._unparsed = 0
        self.is_receiving = self.is_leaving = False
        self._is_upgraded = self._is_broken = self._is_resumed = False
        self._discarded = 0
        self._phase = ""
        self._deadline: asyncio.TimerHandle | None = None

    # What uvicorn and asyncio call

    def connection_made(self, transport: Any) -> None:
        self._raw = transport
        super().connection_made(_Transport(transport, self))  # type: ignore[arg-type]
        self._enter("head")
        self._connections.enter(self, self.client[0] if self.client else "")

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.leave(self)
        self._enter("")
        self.resume_writing()
        self.pipeline.clear()
        self._disconnect()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn leaves it when there was an error

    def data_received(self, data: bytes) -> None:
        if self.is_leaving:
            self._discarded += len(data)
            if self._discarded > self._limits.body_bytes:
                self._raw.abort()
            return
        self._unset_keepalive_if_required()
        self._unparsed += len(data)
        try:
            self._parse(data)
        except HttpParserError:
            self._break_off(400, "Invalid HTTP request received.")
        if self._unparsed > HEAD_BYTES:
            self._break_off(431, "the head of the request is too large")
        self._follow()

    def handle_websocket_upgrade(self) -> None:
        self._enter("")
        self._connections.leave(self)  # the WebSocket enters in its place
        self._is_upgraded = True
        self.transport = self._raw
        super().handle_websocket_upgrade()

    def eof_received(self) -> None:
        if self.is_leaving:
            self._raw.close()

    def on_response_complete(self) -> None:
        self._connections.used(self)
        super().on_response_complete()
        self._follow()

    def shutdown(self) -> None:
        self._connections.stop()
        if self.is_leaving or self.is_receiving or self._is_broken:
            self.drop()
        elif self._is_answering:
            self._make_last()
        else:
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    # What the parser calls

    def _parse(self, data: bytes) -> None:
        """Raises HttpParserError."""
        while True:
            try:
                self.parser.feed_data(data)
                return
            except HttpParserUpgrade as upgrade:
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                    return
                data = self._resumed(data[upgrade.args[0] :])

    def _resumed(self, rest: bytes) -> bytes:
        """What is parsed next of a request that asks for another protocol than WebSocket, such as HTTP/2, and does not
        get it: its body. The parser has stopped behind its head; a new one gets the part of the head that is about the
        body. rest: what has arrived of it."""
        self._is_resumed = True
        self.parser = HttpRequestParser(self)
        framing = [each for each in self.headers if each[0] in (b"content-length", b"transfer-encoding")]
        return b"POST / HTTP/1.1\r\n%b\r\n%b" % (b"".join(b"%b: %b\r\n" % each for each in framing), rest)

    def on_message_begin(self) -> None:
        if not self._is_resumed:
            super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._is_resumed:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_resumed and not self.is_receiving:  # else it is a trailer
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unparsed = 0
        if not self._is_resumed:
            self._check_head()
            if len(self.pipeline) >= PIPELINED:
                raise ValueError("too many requests wait")
            super().on_headers_complete()
        self._is_resumed = False
        self.is_receiving = True

    def _check_head(self) -> None:
        """Raises ValueError for headers that say in several ways, or not, where the request goes and how long it is."""
        hosts, codings = 0, []
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"transfer-encoding":
                codings.append(value.strip().lower())
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            raise ValueError("a request has one Host")
        if codings and codings != [b"chunked"]:
            raise ValueError("only the transfer coding chunked is supported")

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade() and not self._should_upgrade():
            return  # its body follows
        self._unparsed = 0
        self.is_receiving = False
        super().on_message_complete()

    def _break_off(self, status: int, detail: str) -> None:
        """Refuse what is no request; if it follows one that is being answered, end the connection after that."""
        self._unparsed = 0
        if self._is_broken or self.is_leaving:
            return
        self._is_broken = True
        if self._is_answering and not self._is_receiving_answered:
            self._make_last()
            self.flow.pause_reading()
            return
        self.logger.warning(detail)
        self._refuse(status, detail)

    def _make_last(self) -> None:
        """Close the connection after the response that is in progress."""
        self.pipeline.clear()
        if self._answered is not None:
            self._answered.keep_alive = False

    @property
    def _is_answering(self) -> bool:
        return self._answered is not None and not self._answered.response_complete

    @property
    def _is_receiving_answered(self) -> bool:
        """Whether the body of the request that is being answered is not complete."""
        return self.is_receiving and self.cycle is self._answered

    # What `Connections` asks

    @property
    def is_idle(self) -> bool:
        """Whether no request is in progress."""
        return self.is_leaving or not (self._is_answering or self.is_receiving)

    def drop(self) -> None:
        """Close the connection at once."""
        if self._raw is not None:
            self._raw.abort()

    # Closing

    def leave(self) -> None:
        """Close the connection when all is sent; what the client still sends is read and thrown away for a while."""
        if self.is_leaving or self._raw.is_closing():
            return
        if not (self.is_receiving or self._is_broken) or not self._raw.can_write_eof():
            self._raw.close()
            return
        self.is_leaving = True
        try:
            self._raw.write_eof()
        except OSError:  # the client has left already
            self.drop()
            return
        self.flow.resume_reading()
        self._enter("leaving")

    # Limits of time

    def _follow(self) -> None:
        """Limit the time of what the connection now does."""
        if self.is_leaving or self._is_upgraded or self._raw.is_closing():
            return
        if self.is_receiving:
            self._enter("body")
        elif not self._is_answering and self.timeout_keep_alive_task is None:
            self._enter("head")
        else:
            self._enter("")

    def _enter(self, phase: str) -> None:
        if phase == self._phase:
            return
        self._phase = phase
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        seconds = {"head": self._limits.head, "body": self._limits.body, "leaving": LINGER_SECONDS}.get(phase)
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        if self.is_leaving or not (self.is_receiving or self._unparsed):
            self.drop()
        else:
            self._refuse(408, "the request was not complete in time")

    # Answers without the application

    def _refuse(self, status: int, detail: str) -> None:
        """Answer a request that does not reach the application, or not whole, and close the connection."""
        if self._is_answering and self._answered.response_started:  # type: ignore[union-attr]
            self.drop()
            return
        body = json.dumps({"detail": detail}).encode()
        own = {b"content-type": b"application/json", b"content-length": b"%d" % len(body), b"connection": b"close"}
        head = b"".join(b"%b: %b\r\n" % each for each in (*own.items(), *HEADERS.items()))
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[status], head, body))
        self._disconnect()
        self.transport.close()

    def _disconnect(self) -> None:
        """Tell the application that nobody gets what it answers."""
        if self._answered is not None:
            self._answered.disconnected = self._answered.disconnected or not self._answered.response_complete
            self._answered.message_event.set()

    async def _run(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the application. A response to a request whose body is not complete closes the connection."""
        overload = self._connections.overload(self)
        if overload:
            scope["state"][OVERLOADED] = overload

        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start" and (overload or self._is_receiving_answered):
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        try:
            await self._wrapped(scope, receive, sent)
        except asyncio.CancelledError:
            if not self._connections.stops:
                raise
            self._disconnect()  # uvicorn has waited long enough
            self.drop()
