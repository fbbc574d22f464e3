"""The options of the commands that connect to an MQTT broker, declared once."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from agentkit import ConfigurationError
from agentkit.cli.hidden_arguments import hide_arguments

_VARIABLE = "AGENTKIT_MQTT_"


def _option(name: str, *more: str, variable: str, **options: Any) -> Any:
    return typer.Option(name, *more, envvar=_VARIABLE + variable, show_envvar=True, **options)


def _connection(
    mqtt_broker: Annotated[
        str, _option("--mqtt-broker", variable="BROKER", metavar="HOST|URL", help="The broker: its host, or a URL.")
    ] = "localhost",
    mqtt_port: Annotated[
        int | None,
        _option(
            "--mqtt-port",
            variable="PORT",
            min=1,
            max=65_535,
            metavar="PORT",
            help="Port of the broker; default: 1883, with TLS 8883.",
        ),
    ] = None,
    mqtt_username: Annotated[
        str | None, _option("--mqtt-username", "--username", variable="USERNAME", help="User name at the broker.")
    ] = None,
    mqtt_password: Annotated[
        str | None, _option("--mqtt-password", "--password", variable="PASSWORD", help="Its password.")
    ] = None,
    mqtt_password_file: Annotated[
        Path | None,
        _option("--mqtt-password-file", variable="PASSWORD_FILE", help="A file with it, read before each connection."),
    ] = None,
    tls: Annotated[bool, _option("--tls", variable="TLS", help="Connect to the broker with TLS.")] = False,
    ca_file: Annotated[
        Path | None,
        _option("--ca-file", variable="CA_FILE", help="CA certificates that verify the broker; implies --tls."),
    ] = None,
    cert_file: Annotated[
        Path | None, _option("--cert-file", variable="CERT_FILE", help="Client certificate (PEM); implies --tls.")
    ] = None,
    key_file: Annotated[
        Path | None,
        _option("--key-file", variable="KEY_FILE", help="Key of the client certificate, if its file has none."),
    ] = None,
    alpn: Annotated[
        str | None,
        _option(
            "--alpn",
            variable="ALPN",
            metavar="PROTOCOL",
            help="ALPN protocol of the TLS handshake, such as x-amzn-mqtt-ca; implies --tls.",
        ),
    ] = None,
    any_hostname: Annotated[
        bool,
        _option(
            "--any-hostname",
            variable="ANY_HOSTNAME",
            help="Take a certificate for another host name, as where the broker is reached by its IP address; with "
            "--ca-file.",
        ),
    ] = False,
    mqtt_transport: Annotated[
        Literal["tcp", "websockets"],
        _option("--mqtt-transport", variable="TRANSPORT", metavar="NAME", help="Transport of MQTT: tcp or websockets."),
    ] = "tcp",
    websocket_path: Annotated[
        str, _option("--websocket-path", variable="WEBSOCKET_PATH", help="Path of the broker's WebSocket.")
    ] = "/mqtt",
) -> dict[str, Any]:
    """The fields of `BrokerSettings`. Raises typer's BadParameter where they can't be these."""
    hide_arguments([mqtt_password] if mqtt_password else [])
    try:
        from agentkit.serving.mqtt.broker_address import connection_fields

        return connection_fields(
            broker=mqtt_broker,
            port=mqtt_port,
            username=mqtt_username,
            password=mqtt_password,
            password_file=mqtt_password_file,
            tls=tls,
            transport=mqtt_transport,
            websocket_path=websocket_path,
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
            alpn=alpn,
            any_hostname=any_hostname,
        )
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from None


VARIABLES = frozenset(
    each.annotation.__metadata__[0].envvar for each in inspect.signature(_connection).parameters.values()
)
"""The environment variables of these options."""


def with_broker_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the connection; it gets the fields of `BrokerSettings` as `connection`."""
    shared = inspect.signature(_connection).parameters
    own = inspect.signature(command).parameters

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        connection = _connection(**{name: given.pop(name) for name in shared})
        command(connection=connection, **given)

    parameters = [*(each for name, each in own.items() if name != "connection"), *shared.values()]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_options
