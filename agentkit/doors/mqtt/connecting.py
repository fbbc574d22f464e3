"""How a client of a broker shows who it is, and knows who the broker is."""

import ssl
from pathlib import Path

import paho.mqtt.client as mqtt


def secure(client: mqtt.Client, username: str | None, password: str | None, tls: bool, ca_file: Path | None) -> None:
    """Set user, password and TLS. ca_file: whose certificates the broker may have; None: the system's."""
    if username is not None:
        client.username_pw_set(username, password)
    if tls:
        client.tls_set_context(ssl.create_default_context(cafile=str(ca_file) if ca_file else None))
