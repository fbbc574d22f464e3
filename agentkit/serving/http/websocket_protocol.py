"""uvicorn's WebSocket connection with limits of time and number. Needs the package websockets."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from agentkit.serving.http.connections import UnreadLimit, connections_in
from agentkit.serving.http.gate import OVERLOADED, SOCKET


class LimitedWebSocket(UnreadLimit, WebSocketsSansIOProtocol):
    """A WebSocket to a client, one of the service's connections. is_idle: whether nothing is being answered; it is set
    by the application, which finds this object under SOCKET in the state of its scope."""

    is_idle = True
    is_receiving = False

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, {**app_state, SOCKET: self}, _loop)
        self._connections = connections_in(app_state)
        self._stops = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._connections.enter(self, self.client[0] if self.client else "")
        overload = self._connections.overload(self)
        if overload:
            self.app_state = {**self.app_state, OVERLOADED: overload}

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.leave(self)
        self.resume_writing()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        self._connections.stop()
        self._stops = True
        if self.is_idle:
            super().shutdown()

    def drop(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def begin(self) -> None:
        """An answer is begun."""
        self.is_idle = False

    def finish(self) -> None:
        """The answer is complete. A service that stops closes the connection then."""
        self.is_idle = True
        self._connections.used(self)
        if self._stops and not self.transport.is_closing():
            super().shutdown()
