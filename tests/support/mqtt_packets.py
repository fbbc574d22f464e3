"""A proxy before a broker that reads the packets of its clients, as the brokers of cloud services limit them."""

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

CONNECT, PUBLISH, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE = 1, 3, 5, 6, 7, 8


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


def _pass_back(broker: socket.socket, client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := broker.recv(65_536):
            client.sendall(data)


@contextmanager
def limited_subscriptions(port: int, most: int) -> Iterator[int]:
    """A port that passes on to a broker, and closes the connection of a client that subscribes to more than `most`
    topic filters in one packet."""

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            client: Any = self.request
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as broker:
                threading.Thread(target=_pass_back, args=(broker, client), daemon=True).start()
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

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection) as listening:
        listening.daemon_threads = True
        threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield listening.server_address[1]
        listening.shutdown()


@contextmanager
def refusing_answers(
    port: int, code: int, times: int, *, is_released: bool = False
) -> Iterator[tuple[int, list[bytes]]]:
    """A port that passes on to a broker, and refuses the first `times` messages with QoS 2 of its clients with a reason
    code in PUBREC (MQTT 5), in place of the broker. Yields the port, and the bodies of the refused messages.

    is_released: it says of the others that it has released them before (PUBCOMP: "packet identifier not found")."""
    refused: list[bytes] = []

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            client: Any = self.request
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as broker:
                threading.Thread(target=_pass_back, args=(broker, client), daemon=True).start()
                stream = client.makefile("rb")
                while (packet := _read(stream)) is not None:
                    kind, whole, body = packet
                    if kind == PUBLISH and whole[0] & 6 == 4 and len(refused) < times:
                        refused.append(body)
                        place = 2 + struct.unpack_from(">H", body)[0]
                        client.sendall(bytes((PUBREC << 4, 3)) + body[place : place + 2] + bytes((code,)))
                    elif kind == PUBREL and is_released:
                        client.sendall(bytes((PUBCOMP << 4, 3)) + body[:2] + b"\x92")
                        broker.sendall(whole)
                    else:
                        broker.sendall(whole)
                client.shutdown(socket.SHUT_RDWR)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection) as listening:
        listening.daemon_threads = True
        threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield listening.server_address[1], refused
        listening.shutdown()
