"""uvicorn's HTTP/1.1 connection with limits of time and number, and JSON errors."""

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from agentkit.serving.http.connections import UnreadLimit, connections_in
from agentkit.serving.http.gate import OVERLOADED
from agentkit.serving.http.middleware import HEADERS

HEAD_BYTES = 16 * 1024
"""Largest head of a request that h11 takes unless it is told otherwise."""

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


class LimitedProtocol(UnreadLimit, H11Protocol):
    """A connection to a client.

    Its time is limited while it receives a head or a body, and while the client reads nothing of a response. uvicorn
    itself limits how long it is idle between requests, and the size of a head.
    """

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._connections = connections_in(app_state)
        self._limits = self._connections.limits
        self._wrapped = self.app
        self.app = self._run
        self._raw: Any = None
        self.is_leaving = self._is_upgraded = False
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
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn leaves it when there was an error

    def data_received(self, data: bytes) -> None:
        if not self.is_leaving:
            super().data_received(data)
            self._follow()
            return
        self._discarded += len(data)
        if self._discarded > self._limits.body_bytes:
            self._raw.abort()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._enter("")
        self._connections.leave(self)  # the WebSocket enters in its place
        self._is_upgraded = True
        self.transport = self._raw
        super().handle_websocket_upgrade(event)

    def eof_received(self) -> None:
        if self.is_leaving:
            self._raw.close()

    def on_response_complete(self) -> None:
        self._connections.used(self)
        super().on_response_complete()
        self._follow()

    def shutdown(self) -> None:
        self._connections.stop()
        if self.is_leaving or self.is_receiving or self.conn.our_state is h11.ERROR:
            self.drop()
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        is_long = len(self.conn.trailing_data[0]) > (self.config.h11_max_incomplete_event_size or HEAD_BYTES)
        self._refuse(431 if is_long else 400, "the head of the request is too large" if is_long else msg)

    # What `Connections` asks

    @property
    def is_idle(self) -> bool:
        """Whether no request is in progress."""
        return self.is_leaving or self.cycle is None or (self.cycle.response_complete and not self.is_receiving)

    @property
    def is_receiving(self) -> bool:
        """Whether the body of a request is not complete."""
        return self.conn.their_state is h11.SEND_BODY

    def drop(self) -> None:
        """Close the connection at once."""
        if self._raw is not None:
            self._raw.abort()

    # Closing

    def leave(self) -> None:
        """Close the connection when all is sent; what the client still sends is read and thrown away for a while."""
        if self.is_leaving or self._raw.is_closing():
            return
        if self.conn.their_state not in (h11.SEND_BODY, h11.ERROR) or not self._raw.can_write_eof():
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
        elif self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None:
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
        if self.is_leaving or not (self.is_receiving or self.conn.trailing_data[0]):
            self.drop()
        else:
            self._refuse(408, "the request was not complete in time")

    # Answers without the application

    def _refuse(self, status: int, detail: str) -> None:
        """Answer a request that does not reach the application, or not whole, and close the connection."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # its response has begun
            self.drop()
            return
        body = json.dumps({"detail": detail}).encode()
        own = {b"content-type": b"application/json", b"content-length": b"%d" % len(body), b"connection": b"close"}
        head = h11.Response(status_code=status, headers=[*own.items(), *HEADERS.items()], reason=STATUS_PHRASES[status])
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    async def _run(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the application. A response to a request whose body is not complete closes the connection."""
        overload = self._connections.overload(self)
        if overload:
            scope["state"][OVERLOADED] = overload

        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start" and (overload or self.is_receiving):
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        try:
            await self._wrapped(scope, receive, sent)
        except asyncio.CancelledError:
            if not self._connections.stops:
                raise
            self.cycle.disconnected = True  # uvicorn has waited long enough
            self.drop()
