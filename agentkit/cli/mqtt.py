"""`agentkit mqtt`: the MQTT bridge for games and devices; `agentkit mqtt-chat`: a client to try it with."""

import logging
import logging.handlers
import os
import signal
import sys
import threading
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from agentkit import APIError, ConfigurationError, SessionError
from agentkit._text import in_a_line
from agentkit.cli.ask import BAD_USAGE, FAILED
from agentkit.cli.hidden_arguments import hide_arguments
from agentkit.cli.progress import printable
from agentkit.cli.stores import StoreOption, leave, opened
from agentkit.errors import MissingExtraError
from agentkit.serving.environment import data_folder
from agentkit.serving.upstream import base_url, model_server

FIRST_TEST_SECONDS = 10.0
"""How long the first test of the model server is waited for, in seconds."""

START_ONE = "Start one with: llama-server -m model.gguf --port 8080 --jinja"

Broker = Annotated[str, typer.Option("--mqtt_broker", help="Host of the broker.")]
Port = Annotated[int, typer.Option("--mqtt_port", min=1, max=65_535, help="Port of the broker.")]
Username = Annotated[
    str | None, typer.Option("--mqtt_username", "--username", envvar="AGENTKIT_MQTT_USERNAME", show_envvar=True)
]
Password = Annotated[
    str | None, typer.Option("--mqtt_password", "--password", envvar="AGENTKIT_MQTT_PASSWORD", show_envvar=True)
]
Tls = Annotated[
    bool, typer.Option("--tls", help="Connect to the broker with TLS.", envvar="AGENTKIT_MQTT_TLS", show_envvar=True)
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ca_file",
        help="CA certificates that verify the broker; implies --tls.",
        envvar="AGENTKIT_MQTT_CA_FILE",
        show_envvar=True,
    ),
]
CertFile = Annotated[
    Path | None,
    typer.Option(
        "--cert_file",
        help="Client certificate (PEM); implies --tls.",
        envvar="AGENTKIT_MQTT_CERT_FILE",
        show_envvar=True,
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key_file",
        help="Key of the client certificate, if its file has none.",
        envvar="AGENTKIT_MQTT_KEY_FILE",
        show_envvar=True,
    ),
]
Alpn = Annotated[
    str | None,
    typer.Option(
        "--alpn",
        metavar="PROTOCOL",
        help="ALPN protocol of the TLS handshake, such as x-amzn-mqtt-ca; implies --tls.",
        envvar="AGENTKIT_MQTT_ALPN",
        show_envvar=True,
    ),
]
Transport = Annotated[
    Literal["tcp", "websockets"],
    typer.Option("--mqtt_transport", help="Transport of MQTT.", envvar="AGENTKIT_MQTT_TRANSPORT", show_envvar=True),
]
WebsocketPath = Annotated[
    str,
    typer.Option(
        "--websocket_path",
        help="Path of the broker's WebSocket.",
        envvar="AGENTKIT_MQTT_WEBSOCKET_PATH",
        show_envvar=True,
    ),
]


def mqtt(
    context: typer.Context,
    projects: Annotated[list[str] | None, typer.Option(help='Projects to serve, such as "maze driving".')] = None,
    projects_file: Annotated[
        Path | None, typer.Option("--projects_file", help="Project definitions, in TOML or YAML.")
    ] = None,
    server_url: Annotated[str, typer.Option("--server_url", help="URL of the model server.")] = "http://localhost:8080",
    server_timeout: Annotated[
        float, typer.Option("--server_timeout", help="Timeout of the model server in seconds.")
    ] = 300.0,
    temperature: Annotated[float, typer.Option()] = 0.6,
    top_p: Annotated[float, typer.Option("--top_p")] = 0.9,
    max_tokens: Annotated[int, typer.Option("--max_tokens")] = 512,
    max_history_tokens: Annotated[int, typer.Option("--max_history_tokens")] = 10_000,
    max_concurrent_sessions: Annotated[int, typer.Option("--max_concurrent_sessions")] = 100,
    mqtt_broker: Broker = "localhost",
    mqtt_port: Port = 1883,
    mqtt_username: Username = None,
    mqtt_password: Password = None,
    num_workers: Annotated[int, typer.Option("--num_workers", min=1)] = 12,
    skip_thinking: Annotated[str, typer.Option("--skip_thinking", metavar="True|False")] = "True",
    rate: Annotated[int, typer.Option("--rate", min=1, help="Maximum messages per session and minute.")] = 20,
    shared: Annotated[
        str | None,
        typer.Option("--shared", metavar="GROUP", help="Share the load with the other bridges of this group."),
    ] = None,
    client_id: Annotated[str, typer.Option("--client_id", help="MQTT client id of this bridge.")] = "",
    tls: Tls = False,
    ca_file: CaFile = None,
    cert_file: CertFile = None,
    key_file: KeyFile = None,
    alpn: Alpn = None,
    mqtt_transport: Transport = "tcp",
    websocket_path: WebsocketPath = "/mqtt",
    debug_log: Annotated[Path | None, typer.Option("--debug_log", help="Log full messages to a file.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Test the broker and the model server, and exit.")] = False,
    store: StoreOption = None,
) -> None:
    """Answer messages from an MQTT broker with a model server.

    While the broker or the model server is away, it keeps trying. Exit codes: 0 stopped by Ctrl-C or SIGTERM, 1 the
    broker or the model server can't be used (only --check, and --shared without MQTT 5), 2 bad usage.
    """
    try:
        from agentkit.serving.chat_service import ChatService
        from agentkit.serving.mqtt.broker import UnsupportedBrokerError
        from agentkit.serving.mqtt.projects import projects_named
        from agentkit.serving.mqtt.settings import BridgeSettings
    except ImportError:
        leave(str(MissingExtraError("the MQTT bridge", "mqtt")), BAD_USAGE)
    hide_arguments([mqtt_password] if mqtt_password else [])
    try:
        selected = projects_named([*(projects or ()), *context.args], projects_file)
        backend = model_server(
            server_url,
            timeout=server_timeout,
            temperature=temperature,
            top_p=top_p,
            max_tokens=max_tokens,
            thinks=not _truth("--skip_thinking", skip_thinking),
        )
    except ConfigurationError as error:
        leave(str(error), BAD_USAGE)
    _log(debug_log)
    url = base_url(server_url)
    settings = BridgeSettings(
        broker=mqtt_broker,
        port=mqtt_port,
        username=mqtt_username,
        password=mqtt_password,
        client_id=client_id,
        tls=tls,
        ca_file=ca_file,
        cert_file=cert_file,
        key_file=key_file,
        alpn=alpn,
        transport=mqtt_transport,
        websocket_path=websocket_path,
        group=shared,
        workers=num_workers,
        rate=rate,
        max_sessions=max_concurrent_sessions,
    )
    with opened(store) as sessions:
        service = ChatService(backend, sessions, history_tokens=max_history_tokens)
        try:
            if check:
                _check(service, settings, selected, url)
            else:
                _serve(service, settings, selected, url)
        except UnsupportedBrokerError as error:
            leave(str(error), FAILED)
        except ConfigurationError as error:
            leave(str(error), BAD_USAGE)
        except OSError as error:
            leave(f"the broker {settings.address} can't be used: {error}", FAILED)
        backend.close()


def _truth(option: str, value: str) -> bool:
    """Return the meaning of an option that is written as True or False. Raises ConfigurationError for another word."""
    word = value.strip().lower()
    if word in ("true", "1", "yes", "on", "t", "y"):
        return True
    if word in ("false", "0", "no", "off", "f", "n"):
        return False
    raise ConfigurationError(f"{option} {in_a_line(value, 40)!r} is neither True nor False")


def _check(service: Any, settings: Any, selected: Any, url: str) -> None:
    """Exit with an error message when the model server or the broker can't be used for these projects."""
    from agentkit.serving.mqtt.checking import test_broker
    from agentkit.serving.mqtt.intake import answer_prefixes, routes_of

    try:
        service.test()
    except (APIError, SessionError) as error:
        leave(f"the model server {url} can't be used: {error}\n{START_ONE}", FAILED)
    problems, limits = test_broker(settings, list(routes_of(selected)), answer_prefixes(selected))
    if problems:
        leave(f"the broker {settings.address} can't be used: {'; '.join(problems)}", FAILED)
    for limit in limits:
        print(limit)
    print(f"the broker {settings.address} and the model server {url} are working")


def _serve(service: Any, settings: Any, selected: Any, url: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    from agentkit.serving.mqtt.client_id import held_client_id, installation_name
    from agentkit.serving.mqtt.embedded import keep_trying, serve_until

    stopped, is_ready, is_tried = threading.Event(), threading.Event(), threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stopped.set())
    names = [project.name for project in selected]
    folder = data_folder() / "bridges"
    is_member = settings.group is not None and not settings.client_id
    name = settings.client_id or f"agentkit-{'-'.join(names)}"[:60] + f"-{installation_name(folder)}"

    def test() -> None:
        try:
            service.test()
        except (APIError, SessionError, ConfigurationError, OSError) as error:
            raise ConnectionError(f"{in_a_line(str(error), 300)}; messages wait. {START_ONE}") from None
        finally:
            is_tried.set()

    def wait_for_model() -> None:
        if keep_trying(f"the model server {url}", test, (ConnectionError,), stopped):
            is_ready.set()

    def announce() -> None:
        is_tried.wait(FIRST_TEST_SECONDS)
        print(f"serving {', '.join(names)}; press Ctrl-C to stop", file=sys.stderr)

    with held_client_id(name, settings.address, in_group=is_member, folder=folder) as locked_id:
        threading.Thread(target=wait_for_model, name="agentkit-model", daemon=True).start()
        serve_until(
            stopped,
            selected,
            service,
            replace(settings, client_id=locked_id),
            on_start=announce,
            is_ready=is_ready,
        )


def _log(debug_log: Path | None) -> None:
    """Log to standard error. Full messages are logged only to `debug_log`, which only its owner can read."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    for noisy in ("httpx2", "httpcore2", "openai"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if debug_log is None:
        return
    debug_log.touch(mode=0o600)
    debug_log.chmod(0o600)
    os.umask(0o077)  # for the rotated files
    handler = logging.handlers.RotatingFileHandler(debug_log, maxBytes=10_000_000, backupCount=3, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("agentkit.mqtt.messages")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)


def mqtt_chat(
    project: Annotated[str, typer.Option(help="Project to chat with.")] = "general",
    session: Annotated[str | None, typer.Option(help="Session to continue; a new one by default.")] = None,
    mqtt_broker: Broker = "localhost",
    mqtt_port: Port = 1883,
    mqtt_username: Username = None,
    mqtt_password: Password = None,
    tls: Tls = False,
    ca_file: CaFile = None,
    cert_file: CertFile = None,
    key_file: KeyFile = None,
    alpn: Alpn = None,
    mqtt_transport: Transport = "tcp",
    websocket_path: WebsocketPath = "/mqtt",
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.")] = 60.0,
) -> None:
    """Chat with a bridge over MQTT, line by line, as a game does."""
    try:
        from agentkit.serving.mqtt.client import ChatClient
        from agentkit.serving.mqtt.settings import BrokerSettings
    except ImportError:
        leave(str(MissingExtraError("the MQTT client", "mqtt")), BAD_USAGE)
    settings = BrokerSettings(
        broker=mqtt_broker,
        port=mqtt_port,
        username=mqtt_username,
        password=mqtt_password,
        tls=tls,
        ca_file=ca_file,
        cert_file=cert_file,
        key_file=key_file,
        alpn=alpn,
        transport=mqtt_transport,
        websocket_path=websocket_path,
    )
    try:
        client = ChatClient(settings)
        client.begin(project, session or f"chat-{uuid.uuid4().hex[:8]}")
    except (OSError, ConfigurationError) as error:
        leave(f"the broker {mqtt_broker}:{mqtt_port} can't be used: {error}", FAILED)
    try:
        while True:
            try:
                line = input("> " if sys.stdin.isatty() else "").removeprefix("\ufeff")
            except (EOFError, KeyboardInterrupt):
                break
            if not line.strip():
                continue
            answer = client.ask(line, timeout)
            print(printable(answer) if answer is not None else f"(no answer within {timeout:g} seconds)")
    finally:
        client.close()
