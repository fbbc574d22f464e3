"""Transport, credentials and TLS of MQTT clients."""

import logging
import socket
import ssl
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agentkit import ConfigurationError
from agentkit.net.outgoing import HTTPX, check_key_log, check_tls
from agentkit.serving.mqtt.settings import BrokerSettings
from agentkit.serving.secret_files import secret_in

logger = logging.getLogger("agentkit.mqtt")


def mqtt_client(
    settings: BrokerSettings,
    client_id: str = "",
    protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311,
    **options: Any,
) -> mqtt.Client:
    """A client that is not connected yet. options: of `paho.mqtt.client.Client`.

    Its user data is its TLS context, or None. Raises ConfigurationError when a file can't be read.

    Sets TCP_NODELAY. Otherwise a small packet waits for the acknowledgement of the previous one (Nagle's algorithm),
    which the other side delays by about 40 ms.
    """
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, client_id, protocol=protocol, transport=settings.transport, **options
    )

    def set_no_delay(_: mqtt.Client, __: Any, connection: Any) -> None:
        if isinstance(connection, socket.socket):  # paho's WebSocket wrapper has no setsockopt
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    client.on_socket_open = set_no_delay
    if settings.transport == "websockets":
        client.ws_set_options(settings.websocket_path)
    _log_in(client, settings)
    if settings.uses_tls:
        context = _context(settings)
        client.tls_set_context(context)
        client.user_data_set(context)
    return client


def _log_in(client: mqtt.Client, settings: BrokerSettings) -> None:
    password = settings.password
    if settings.password_file is not None:
        password = secret_in(settings.password_file, "the password of the broker")
    if settings.username is not None:
        client.username_pw_set(settings.username, password)


def renew(client: mqtt.Client, context: ssl.SSLContext | None, settings: BrokerSettings) -> None:
    """Read the files of a client again before it connects: passwords and certificates are replaced while a bridge runs
    for months. context: its TLS context."""
    try:
        _log_in(client, settings)
        if context is None:
            return
        if settings.ca_file is not None:
            context.load_verify_locations(cafile=settings.ca_file)
        if settings.cert_file is not None:
            _add_certificate(context, settings)
    except (OSError, ConfigurationError) as error:  # while they are being replaced, for example
        logger.warning("the files of the connection can't be read again: %s", error)


def _context(settings: BrokerSettings) -> ssl.SSLContext:
    if settings.ca_file is None:
        check_tls(HTTPX)  # OpenSSL reads the same variables, and ignores files that are missing
    check_key_log()
    try:
        context = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
    except OSError as error:  # includes ssl.SSLError
        raise ConfigurationError(f"can't read the CA certificates in {settings.ca_file}: {error}") from None
    if settings.any_hostname and settings.ca_file is None:
        raise ConfigurationError(
            "a certificate for any host name needs the CA that has made it (--ca-file): else that of any site would do"
        )
    context.check_hostname = not settings.any_hostname
    if settings.cert_file is None and settings.key_file is not None:
        raise ConfigurationError("a client key needs its certificate: give the certificate's file too (--cert-file)")
    if settings.cert_file is not None:
        _add_certificate(context, settings)
    if settings.alpn:
        context.set_alpn_protocols([settings.alpn])
    return context


def _add_certificate(context: ssl.SSLContext, settings: BrokerSettings) -> None:
    def refuse_password() -> str:
        raise ConfigurationError(
            f"the key {settings.key_file or settings.cert_file} is encrypted: give one without a passphrase "
            "(openssl pkey -in KEY -out NEW), readable by the bridge's user only"
        )

    try:
        context.load_cert_chain(settings.cert_file or "", settings.key_file, refuse_password)
    except OSError as error:  # includes ssl.SSLError
        files = " and ".join(str(file) for file in (settings.cert_file, settings.key_file) if file)
        raise ConfigurationError(f"can't use the client certificate in {files}: {error}") from None
