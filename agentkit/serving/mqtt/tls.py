"""How a client of a broker shows who it is, and knows who the broker is."""

import socket
import ssl
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt

from agentkit import ConfigurationError


def secure(client: mqtt.Client, username: str | None, password: str | None, tls: bool, ca_file: Path | None) -> None:
    """Set user, password and TLS. ca_file: whose certificates the broker may have; None: the system's. Raises
    ConfigurationError when they can't be read.

    Packets go out at once: else a small one waits for the acknowledgement of the one before it (Nagle's algorithm),
    which the other side holds back for some 40 ms.
    """

    def send_at_once(_: mqtt.Client, __: Any, connection: Any) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    client.on_socket_open = send_at_once
    if username is not None:
        client.username_pw_set(username, password)
    if tls:
        try:
            context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        except OSError as error:  # ssl.SSLError among them
            raise ConfigurationError(f"the certificates in {ca_file} can't be read: {error}") from None
        client.tls_set_context(context)
