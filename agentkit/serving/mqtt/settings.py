"""How a client reaches its broker, and the limits of a bridge."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SESSION_EXPIRY = 7 * 24 * 3600


@dataclass(frozen=True)
class BrokerSettings:
    """Address of the broker, and how the bridge connects to it.

    password_file: a file with the password, which is read before each connection. client_id: fixed, so that the broker
    queues messages while the bridge is disconnected. tls: set by itself when one of the TLS files or `alpn` is given.
    ca_file: CA certificates that verify the broker; None: the system's. cert_file, key_file: the client's certificate
    and its key (PEM); without key_file, cert_file has both. alpn: the application protocol that the TLS handshake asks
    for, such as "x-amzn-mqtt-ca" on port 443 of AWS IoT. any_hostname: whether the broker's certificate may be for
    another host name than `broker`; this needs `ca_file`. transport: "websockets" for brokers behind an HTTP proxy, at
    the path `websocket_path`. group: name of the group of bridges that share the load. protocol: "5", which falls back
    to 3.1.1 when the broker does not support it, or "3.1.1". keepalive: in seconds. expiry: how long the broker keeps
    messages for a disconnected bridge, in seconds; 0 keeps none.
    """

    broker: str = "localhost"
    port: int = 1883
    username: str | None = None
    password: str | None = None
    password_file: Path | None = None
    client_id: str = "agentkit-bridge"
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    alpn: str | None = None
    any_hostname: bool = False
    transport: Literal["tcp", "websockets"] = "tcp"
    websocket_path: str = "/mqtt"
    group: str | None = None
    keepalive: int = 60
    expiry: int = SESSION_EXPIRY
    protocol: str = "5"

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.tls or any((self.ca_file, self.cert_file, self.key_file, self.alpn, self.any_hostname))

    @property
    def address(self) -> str:
        """ "host:port", for messages."""
        return f"{f'[{self.broker}]' if ':' in self.broker else self.broker}:{self.port}"

    @property
    def doubt(self) -> str:
        """What may be wrong with the port, for a message that the broker can't be used; "" where nothing is."""
        if self.uses_tls and self.port == 1883:
            return " (1883 is usually the port without TLS: 8883 is that with it)"
        if not self.uses_tls and self.port in (8883, 443):
            return f" ({self.port} is usually a port with TLS: --tls)"
        return ""


@dataclass(frozen=True)
class BridgeSettings(BrokerSettings):
    """Connection settings of the broker, and the limits of the bridge.

    workers: number of worker threads. queue: maximum number of waiting messages. rate: maximum number of messages
    per session and minute. stop_seconds: how long `stop` waits for messages in progress, in seconds. max_sessions:
    number of histories kept per project. idle_seconds: histories that are idle for longer, in seconds, are dropped.
    health_file: written anew every few seconds while the bridge is connected to the broker, and removed otherwise.
    """

    workers: int = 12
    queue: int = 1000
    rate: int = 20
    stop_seconds: float = 30.0
    max_sessions: int = 100
    idle_seconds: float = 3600.0
    health_file: Path | None = None
