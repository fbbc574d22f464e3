"""Credentials and TLS of MQTT clients."""

import socket
import ssl
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt

from agentkit import ConfigurationError
from agentkit.net.outgoing import HTTPX, check_key_log, check_tls


def secure(client: mqtt.Client, username: str | None, password: str | None, tls: bool, ca_file: Path | None) -> None:
    """Set the user, the password and TLS of a client.

    ca_file: CA certificates that verify the broker; None: the system's. Raises ConfigurationError when the file can't
    be read.

    Also sets TCP_NODELAY. Otherwise a small packet waits for the acknowledgement of the previous one (Nagle's
    algorithm), which the other side delays by about 40 ms.
    """

    def set_no_delay(_: mqtt.Client, __: Any, connection: Any) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    client.on_socket_open = set_no_delay
    if username is not None:
        client.username_pw_set(username, password)
    if tls:
        if ca_file is None:
            check_tls(HTTPX)  # OpenSSL reads the same variables, and ignores files that are missing
        check_key_log()
        try:
            context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        except OSError as error:  # includes ssl.SSLError
            raise ConfigurationError(f"can't read the CA certificates in {ca_file}: {error}") from None
        client.tls_set_context(context)
