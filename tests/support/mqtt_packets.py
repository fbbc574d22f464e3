"""A proxy before a broker that reads the packets of its clients, as the brokers of cloud services limit them."""

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

CONNECT, SUBSCRIBE = 1, 8


def _read(client: BinaryIO) -> tuple[int, bytes, bytes] | None:
    """The type, the bytes and the body of the next packet (MQTT 3.1.1, section 2.2); None at the end."""
    whole = client.read(1)
    if not whole:
        return None
    size = shift = 0
    while True:
        byte = client.read(1)
        whole += byte
        size |= (byte[0] & 127) << shift
        shift += 7
        if not byte[0] & 128:
            break
    body = client.read(size)
    return whole[0] >> 4, whole + body, body


def _filters(body: bytes, is_mqtt5: bool) -> int:
    """How many topic filters a SUBSCRIBE packet has. Its properties are shorter than 128 bytes."""
    place, found = 2 + (1 + body[2] if is_mqtt5 else 0), 0
    while place < len(body):
        place += 2 + struct.unpack_from(">H", body, place)[0] + 1
        found += 1
    return found


@contextmanager
def limited_subscriptions(port: int, most: int) -> Iterator[int]:
    """A port that passes on to a broker, and closes the connection of a client that subscribes to more than `most`
    topic filters in one packet."""

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            client: Any = self.request
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as broker:
                threading.Thread(target=back, args=(broker, client), daemon=True).start()
                is_mqtt5 = False
                stream = client.makefile("rb")
                while (packet := _read(stream)) is not None:
                    kind, whole, body = packet
                    if kind == CONNECT:
                        is_mqtt5 = body[6] == 5
                    if kind == SUBSCRIBE and _filters(body, is_mqtt5) > most:
                        break
                    broker.sendall(whole)
                client.shutdown(socket.SHUT_RDWR)

    def back(broker: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := broker.recv(65_536):
                client.sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection) as listening:
        listening.daemon_threads = True
        threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield listening.server_address[1]
        listening.shutdown()
