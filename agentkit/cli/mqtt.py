"""`agentkit mqtt`: the bridge for games and devices; `agentkit mqtt-chat`: a client of it, to try it with."""

import logging
import logging.handlers
import os
import shlex
import signal
import sys
import threading
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from agentkit import APIError, ConfigurationError, SessionError
from agentkit.cli.ask import BAD_USAGE, FAILED
from agentkit.cli.progress import printable
from agentkit.cli.stores import StoreOption, leave, opened
from agentkit.errors import MissingExtraError
from agentkit.serving.environment import data_folder, session_store
from agentkit.serving.session_stores import rate_limit_storage
from agentkit.serving.upstream import base_url, model_server

Broker = Annotated[str, typer.Option("--mqtt_broker", help="The broker's host.")]
Port = Annotated[int, typer.Option("--mqtt_port", help="Its port.")]
Username = Annotated[
    str | None, typer.Option("--mqtt_username", "--username", envvar="AGENTKIT_MQTT_USERNAME", show_envvar=True)
]
Password = Annotated[
    str | None, typer.Option("--mqtt_password", "--password", envvar="AGENTKIT_MQTT_PASSWORD", show_envvar=True)
]
Tls = Annotated[bool, typer.Option("--tls", help="Speak TLS with the broker.")]
CaFile = Annotated[Path | None, typer.Option("--ca_file", help="Whose certificates the broker may have.")]


def mqtt(
    context: typer.Context,
    projects: Annotated[list[str] | None, typer.Option(help='Such as "maze driving".')] = None,
    projects_file: Annotated[Path | None, typer.Option("--projects_file", help="TOML or YAML.")] = None,
    server_url: Annotated[str, typer.Option("--server_url", help="The model server.")] = "http://localhost:8080",
    server_timeout: Annotated[float, typer.Option("--server_timeout", help="Seconds.")] = 300.0,
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
    rate: Annotated[int, typer.Option("--rate", min=1, help="Messages of a session in a minute.")] = 20,
    shared: Annotated[str | None, typer.Option("--shared", metavar="GROUP", help="Share the load with others.")] = None,
    client_id: Annotated[str, typer.Option("--client_id", help="By which the broker knows this bridge.")] = "",
    tls: Tls = False,
    ca_file: CaFile = None,
    debug_log: Annotated[Path | None, typer.Option("--debug_log", help="Log what is said, in full, to a file.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Test the broker and the model server, and leave.")] = False,
    store: StoreOption = None,
) -> None:
    """Answer messages from an MQTT broker with the help of a model server.

    Exit code: 0 when it was stopped (Ctrl-C, SIGTERM), 1 when broker or model server can't be used, 2 bad usage.
    """
    try:
        from agentkit.serving.chat_service import ChatService
        from agentkit.serving.mqtt.bridge import Bridge, BridgeSettings
        from agentkit.serving.mqtt.client_id import held_client_id
        from agentkit.serving.mqtt.projects import projects_named
    except ImportError:
        leave(str(MissingExtraError("the MQTT bridge", "mqtt")), BAD_USAGE)
    _hide_password(mqtt_password)
    try:
        served = projects_named([*(projects or ()), *context.args], projects_file)
    except ConfigurationError as error:
        leave(str(error), BAD_USAGE)
    _log(debug_log)
    backend = model_server(
        server_url,
        timeout=server_timeout,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        thinks=skip_thinking.strip().lower() in ("false", "0", "no"),
    )
    url = base_url(server_url)
    name = client_id or f"agentkit-{'-'.join(project.name for project in served)}"[:60]
    place = f"{mqtt_broker}:{mqtt_port}"
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
        answerer = ChatService(backend, sessions, history_tokens=max_history_tokens)
        _test_server(answerer, url)
        try:
            if check:
                _test_broker(settings, served)
                print(f"the broker {place} and the model server {url} answer")
                return
            is_named = shared is not None and not client_id
            with held_client_id(name, place, in_group=is_named, folder=data_folder() / "bridges") as own:
                _serve(Bridge(served, answerer, replace(settings, client_id=own)), [each.name for each in served])
        except ConfigurationError as error:
            leave(str(error), BAD_USAGE)
        except OSError as error:
            leave(f"the broker {place} can't be used: {error}", FAILED)
        backend.close()


def _test_broker(settings: Any, served: Any) -> None:
    """Leave the program with a sentence when the broker can't be used for these projects."""
    from agentkit.serving.mqtt.broker import test_broker
    from agentkit.serving.mqtt.intake import answers_of, routes_of

    problems = test_broker(settings, list(routes_of(served)), answers_of(served))
    if problems:
        leave(f"the broker {settings.broker}:{settings.port} can't be used: {'; '.join(problems)}", FAILED)


def _serve(bridge: Any, projects: list[str]) -> None:
    """Serve until somebody wants an end of it."""
    stopped = threading.Event()
    bridge.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    print(f"serving {', '.join(projects)}; Ctrl-C stops", file=sys.stderr)
    stopped.wait()
    bridge.stop()


def _hide_password(password: str | None) -> None:
    """Take a password that was given as an argument out of what other users see of this process (`ps`)."""
    if password and any(password in argument for argument in sys.argv):
        import setproctitle

        shown = [argument.replace(password, "***") for argument in sys.argv]
        setproctitle.setproctitle(shlex.join([Path(sys.executable).name, *shown]))


def _test_server(answerer: Any, url: str) -> None:
    try:
        answerer.test()
    except (APIError, SessionError) as error:
        leave(
            f"the model server {url} can't be used: {error}\n"
            "Start one with: llama-server -m model.gguf --port 8080 --jinja",
            FAILED,
        )


def _log(debug_log: Path | None) -> None:
    """Log lines to standard error; what is said only to a file that was asked for, which nobody else can read."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    for noisy in ("httpx2", "httpcore2", "openai"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if debug_log is None:
        return
    debug_log.touch(mode=0o600)
    debug_log.chmod(0o600)
    os.umask(0o077)  # the files that it is rotated to
    handler = logging.handlers.RotatingFileHandler(debug_log, maxBytes=10_000_000, backupCount=3, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("agentkit.mqtt.messages")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)


def mqtt_chat(
    project: Annotated[str, typer.Option(help="The project to talk with.")] = "general",
    session: Annotated[str | None, typer.Option(help="Its session; otherwise a new one.")] = None,
    mqtt_broker: Broker = "localhost",
    mqtt_port: Port = 1883,
    mqtt_username: Username = None,
    mqtt_password: Password = None,
    tls: Tls = False,
    ca_file: CaFile = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.")] = 60.0,
) -> None:
    """Talk with a bridge over MQTT, line by line, as a game does."""
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
                line = input("> " if sys.stdin.isatty() else "")
            except (EOFError, KeyboardInterrupt):
                break
            if not line.strip():
                continue
            answer = client.ask(line, timeout)
            print(printable(answer) if answer is not None else f"(no answer in {timeout:g} seconds)")
    finally:
        client.close()
