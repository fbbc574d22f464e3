"""Where a broker is, as people write it: a host, a host with a port, or a URL."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from agentkit.errors import ConfigurationError

PORTS = {(False, False): 1883, (True, False): 8883, (False, True): 80, (True, True): 443}
"""The usual ports, by whether the connection is encrypted, and whether it is one of WebSockets."""

_SCHEMES = {
    **dict.fromkeys(("mqtt", "tcp"), (False, False)),
    **dict.fromkeys(("mqtts", "ssl", "tls", "mqtt+ssl"), (True, False)),
    "ws": (False, True),
    "wss": (True, True),
}
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(?:(.*)@)?([^@/?#]*)(/[^?#]*)?", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(?:\[([0-9a-f:.]+(?:%[\w.-]+)?)\]|([^\[\]:/?#@\s]+))(?::([0-9]{1,5}))?", re.IGNORECASE)
_IPV6 = re.compile(r"[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*(?:%[\w.-]+)?", re.IGNORECASE)


@dataclass(frozen=True)
class BrokerAddress:
    """What a text says of a broker. port, username, password: None where it does not say. path: of the WebSocket, or
    ""."""

    host: str
    port: int | None = None
    tls: bool = False
    websockets: bool = False
    path: str = ""
    username: str | None = None
    password: str | None = None


def broker_address(text: str) -> BrokerAddress:
    """The address that a text is: "host", "host:port", or "mqtt://[user:password@]host[:port]", with TLS "mqtts://",
    over WebSockets "ws://" and "wss://" with a path. Raises ConfigurationError, which shows no part of it."""
    text = text.strip()
    if _IPV6.fullmatch(text):
        return BrokerAddress(text)
    found = _URL.fullmatch(text)
    if found is None:
        host, port = _host(text)
        return BrokerAddress(host, port)
    scheme, login, name, path = found[1].lower(), found[2], found[3], found[4] or ""
    if scheme not in _SCHEMES:
        raise _invalid(f"of the scheme {scheme}:")
    tls, websockets = _SCHEMES[scheme]
    if path.strip("/") and not websockets:
        raise _invalid("with a path")
    host, port = _host(name)
    user, has_password, password = (login or "").partition(":")
    return BrokerAddress(
        host,
        port,
        tls,
        websockets,
        path if path.strip("/") else "",
        unquote(user) if login is not None else None,
        unquote(password) if has_password else None,
    )


def _host(text: str) -> tuple[str, int | None]:
    found = _HOST.fullmatch(text)
    if found is None or (found[3] is not None and not 0 < int(found[3]) < 65_536):
        raise _invalid()
    return found[1] or found[2], int(found[3]) if found[3] is not None else None


def _invalid(what: str = "") -> ConfigurationError:
    return ConfigurationError(
        f"this is no address of a broker{f' ({what})' if what else ''}: write its host, host:port, or "
        "mqtt://[user:password@]host:port (mqtts:// with TLS, ws:// and wss:// over WebSockets)"
    )


def connection_fields(
    *,
    broker: str,
    port: int | None = None,
    username: str | None = None,
    password: str | None = None,
    password_file: Path | None = None,
    tls: bool = False,
    transport: str = "tcp",
    websocket_path: str = "/mqtt",
    **files: Any,
) -> dict[str, Any]:
    """The fields of `BrokerSettings` from options and variables, of which `broker` may be a URL. What is given beside
    it comes first; without a port, it is the usual one. files: the other fields, all of which imply TLS.

    Raises ConfigurationError for an address that is none, for two different ports, for a password without a user, and
    for two passwords.
    """
    address = broker_address(broker)
    if None not in (port, address.port) and port != address.port:
        raise ConfigurationError(
            f"the address of the broker has the port {address.port}, and the option {port}: give one"
        )
    username = address.username if username is None else username
    if password_file is None:
        password = address.password if password is None else password
    elif password is not None:
        raise ConfigurationError("the broker's password is given, and a file with it too: give one")
    if not (password is None and password_file is None) and not username:
        raise ConfigurationError(
            "a password for the broker needs a user name (--mqtt-username, AGENTKIT_MQTT_USERNAME)"
        )
    tls = tls or address.tls
    websockets = transport == "websockets" or address.websockets
    return {
        "broker": address.host,
        "port": port or address.port or PORTS[tls or any(files.values()), websockets],
        "username": username,
        "password": password,
        "password_file": password_file,
        "tls": tls,
        "transport": "websockets" if websockets else "tcp",
        "websocket_path": address.path or websocket_path,
        **files,
    }
