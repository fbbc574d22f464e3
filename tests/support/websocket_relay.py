"""A gateway in front of a broker, as cloud services have one: TLS with client certificates, ALPN, and WebSockets."""

import base64
import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Relay:
    """The port that it listens on, and what its clients have shown: ALPN protocols, certificates, paths."""

    port: int
    protocols: set[str | None] = field(default_factory=set)
    certified: set[bool] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)


@contextmanager
def relay_to(port: int, tls: ssl.SSLContext) -> Iterator[Relay]:
    """Relay MQTT over WebSockets over TLS to a broker on loopback."""
    server = socket.create_server(("127.0.0.1", 0))
    relay = Relay(server.getsockname()[1])

    def serve(raw: socket.socket) -> None:
        with (
            suppress(OSError, ValueError),
            socket.create_connection(("127.0.0.1", port)) as broker,
            tls.wrap_socket(raw, server_side=True) as client,
        ):
            relay.protocols.add(client.selected_alpn_protocol())
            relay.certified.add(bool(client.getpeercert()))
            relay.paths.add(_upgrade(client))
            threading.Thread(target=_to_client, args=(broker, client), daemon=True).start()
            while (data := _frame_from(client)) is not None:
                broker.sendall(data)
            broker.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield relay
    finally:
        server.close()


def _upgrade(client: ssl.SSLSocket) -> str:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += _read(client, 1)
    lines = head.decode().splitlines()
    key = next(line.partition(": ")[2] for line in lines if line.lower().startswith("sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()
    client.sendall(
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n".encode()
    )
    return lines[0].split()[1]


def _frame_from(client: ssl.SSLSocket) -> bytes | None:
    """The payload of the next frame of a client, whose frames are masked; None at the end."""
    first, second = _read(client, 2)
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(_read(client, 2 if size == 126 else 8), "big")
    mask, data = _read(client, 4), _read(client, size)
    return None if first & 0x0F == 8 else bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))


def _to_client(broker: socket.socket, client: ssl.SSLSocket) -> None:
    with suppress(OSError, ValueError):
        while data := broker.recv(60_000):
            size = bytes([len(data)]) if len(data) < 126 else bytes([126]) + len(data).to_bytes(2, "big")
            client.sendall(b"\x82" + size + data)
        client.shutdown(socket.SHUT_RDWR)


def _read(client: ssl.SSLSocket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = client.recv(size - len(data))
        if not part:
            raise OSError("the client is gone")
        data += part
    return data
