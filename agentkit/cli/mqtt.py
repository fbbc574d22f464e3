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
from typing import Annotated, Any

import typer

from agentkit import APIError, ConfigurationError, SessionError
from agentkit._text import in_a_line
from agentkit.cli.ask import BAD_USAGE, FAILED
from agentkit.cli.hidden_arguments import hide_arguments
from agentkit.cli.progress import printable
from agentkit.cli.stores import StoreOption, leave, opened
from agentkit.errors import MissingExtraError
from agentkit.serving.environment import data_folder, session_store
from agentkit.serving.rate_limit import rate_limit_storage
from agentkit.serving.upstream import base_url, model_server

Broker = Annotated[str, typer.Option("--mqtt_broker", help="Host of the broker.")]
Port = Annotated[int, typer.Option("--mqtt_port", min=1, max=65_535, help="Port of the broker.")]
Username = Annotated[
    str | None, typer.Option("--mqtt_username", "--username", envvar="AGENTKIT_MQTT_USERNAME", show_envvar=True)
]
Password = Annotated[
    str | None, typer.Option("--mqtt_password", "--password", envvar="AGENTKIT_MQTT_PASSWORD", show_envvar=True)
]
Tls = Annotated[bool, typer.Option("--tls", help="Connect to the broker with TLS.")]
CaFile = Annotated[
    Path | None, typer.Option("--ca_file", help="CA certificates that verify the broker; implies --tls.")
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
    debug_log: Annotated[Path | None, typer.Option("--debug_log", help="Log full messages to a file.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Test the broker and the model server, and exit.")] = False,
    store: StoreOption = None,
) -> None:
    """Answer messages from an MQTT broker with a model server.

    Exit codes: 0 stopped by Ctrl-C or SIGTERM, 1 the broker or the model server can't be used, 2 bad usage.
    """
    try:
        from agentkit.serving.chat_service import ChatService
        from agentkit.serving.mqtt.bridge import Bridge, BridgeSettings
        from agentkit.serving.mqtt.client_id import held_client_id
        from agentkit.serving.mqtt.projects import projects_named
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
    name = client_id or f"agentkit-{'-'.join(project.name for project in selected)}"[:60]
    address = f"{mqtt_broker}:{mqtt_port}"
    settings = BridgeSettings(
        broker=mqtt_broker,
        port=mqtt_port,
        username=mqtt_username,
        password=mqtt_password,
        tls=tls or ca_file is not None,
        ca_file=ca_file,
        group=shared,
        workers=num_workers,
        rate=rate,
        rates=rate_limit_storage(store or session_store()) if shared else "memory://",
        max_sessions=max_concurrent_sessions,
    )
    with opened(store) as sessions:
        service = ChatService(backend, sessions, history_tokens=max_history_tokens)
        _test_server(service, url)
        try:
            if check:
                _test_broker(settings, selected)
                print(f"the broker {address} and the model server {url} are working")
                return
            in_group = shared is not None and not client_id
            with held_client_id(name, address, in_group=in_group, folder=data_folder() / "bridges") as locked_id:
                bridge = Bridge(selected, service, replace(settings, client_id=locked_id))
                _serve(bridge, [each.name for each in selected])
        except ConfigurationError as error:
            leave(str(error), BAD_USAGE)
        except OSError as error:
            leave(f"the broker {address} can't be used: {error}", FAILED)
        backend.close()


def _truth(option: str, value: str) -> bool:
    """Return the meaning of an option that is written as True or False. Raises ConfigurationError for another word."""
    word = value.strip().lower()
    if word in ("true", "1", "yes", "on", "t", "y"):
        return True
    if word in ("false", "0", "no", "off", "f", "n"):
        return False
    raise ConfigurationError(f"{option} {in_a_line(value, 40)!r} is neither True nor False")


def _test_broker(settings: Any, selected: Any) -> None:
    """Exit with an error message when the broker can't be used for these projects."""
    from agentkit.serving.mqtt.broker import test_broker
    from agentkit.serving.mqtt.intake import answer_prefixes, routes_of

    problems = test_broker(settings, list(routes_of(selected)), answer_prefixes(selected))
    if problems:
        leave(f"the broker {settings.broker}:{settings.port} can't be used: {'; '.join(problems)}", FAILED)


def _serve(bridge: Any, projects: list[str]) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = threading.Event()
    bridge.start()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stopped.set())
    print(f"serving {', '.join(projects)}; press Ctrl-C to stop", file=sys.stderr)
    stopped.wait()
    bridge.stop()


def _test_server(service: Any, url: str) -> None:
    try:
        service.test()
    except (APIError, SessionError) as error:
        leave(
            f"the model server {url} can't be used: {error}\n"
            "Start one with: llama-server -m model.gguf --port 8080 --jinja",
            FAILED,
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
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.")] = 60.0,
) -> None:
    """Chat with a bridge over MQTT, line by line, as a game does."""
    try:
        from agentkit.serving.mqtt.client import ChatClient
    except ImportError:
        leave(str(MissingExtraError("the MQTT client", "mqtt")), BAD_USAGE)
    try:
        client = ChatClient(mqtt_broker, mqtt_port, mqtt_username, mqtt_password, tls or ca_file is not None, ca_file)
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
