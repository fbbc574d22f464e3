"""`agentkit mqtt`: the MQTT bridge for games and devices; `agentkit mqtt-chat`: a client to try it with."""

import logging
import logging.handlers
import os
import signal
import sys
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from agentkit import ConfigurationError, SessionError
from agentkit._text import in_a_line, without_credentials
from agentkit.backend import Backend
from agentkit.cli.ask import BAD_USAGE, FAILED
from agentkit.cli.broker_options import VARIABLES, with_broker_options
from agentkit.cli.interruptions import INTERRUPTED
from agentkit.cli.logs import LevelOption, log_to_stderr
from agentkit.cli.options import DocsOption, EvidenceOption, HookOption, McpOption, TaintOption, ToolOption
from agentkit.cli.printable import printable
from agentkit.cli.stores import StoreOption, leave, opened
from agentkit.cli.typed import next_typed
from agentkit.errors import MissingExtraError
from agentkit.evidence.settings import mode_of
from agentkit.middleware.sampling import Sampling
from agentkit.providers import resolve
from agentkit.serving.environment import check_environment, data_folder
from agentkit.serving.hook_loading import load_hooks
from agentkit.serving.tool_loading import mcp_servers, named_tools

FIRST_TEST_SECONDS = 10.0
"""How long the first test of the model server is waited for, in seconds."""

AGAIN_SECONDS = 0.5
"""After so many seconds another Ctrl-C is a second one: the first may come twice, from the terminal and from a program
that has started this one."""
MAX_HEALTH = 3
"""Size of a health file, in bytes."""
STOPPING = b"stopping: messages in progress are finished (Ctrl-C again leaves them to the broker)\n"

PROJECTS = "AGENTKIT_MQTT_PROJECTS"
SERVER = "the model server "
DEBUG_LOG = Path("debug_info.log")
"""Where `--enable-debug-logging` logs full messages, as the bridge did whose command line this is."""


@with_broker_options
def mqtt(
    context: typer.Context,
    connection: dict[str, Any],
    projects: Annotated[
        list[str] | None,
        typer.Option(help='Projects to serve, such as "maze driving".', envvar=PROJECTS, show_envvar=True),
    ] = None,
    projects_file: Annotated[Path | None, typer.Option(help="Project definitions, in TOML or YAML.")] = None,
    server_url: Annotated[str, typer.Option(help="URL of the model server.")] = "http://localhost:8080",
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="provider:model\\[@url], instead of --server-url."),
    ] = None,
    tool: ToolOption = None,
    hook: HookOption = None,
    docs: DocsOption = None,
    mcp: McpOption = None,
    evidence: EvidenceOption = None,
    taint: TaintOption = None,
    server_timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Timeout of the model server in seconds.")
    ] = 300.0,
    temperature: Annotated[float, typer.Option(min=0.0, metavar="NUMBER")] = 0.6,
    top_p: Annotated[float, typer.Option(min=0.0, max=1.0, metavar="NUMBER")] = 0.9,
    max_tokens: Annotated[
        int, typer.Option(min=1, metavar="N", help="Maximum number of tokens per model reply.")
    ] = 512,
    skip_thinking: Annotated[str, typer.Option(metavar="True|False", help="Disable the model's thinking.")] = "True",
    max_history_tokens: Annotated[
        int,
        typer.Option(min=100, metavar="N", help="Maximum number of tokens of a session's history sent to the model."),
    ] = 10_000,
    max_concurrent_sessions: Annotated[
        int, typer.Option(min=1, metavar="N", help="Number of histories kept per project.")
    ] = 100,
    num_workers: Annotated[int, typer.Option(min=1, metavar="N", help="Number of messages answered at once.")] = 12,
    rate: Annotated[int, typer.Option(min=1, metavar="N", help="Maximum messages per session and minute.")] = 20,
    shared: Annotated[
        str | None,
        typer.Option(metavar="GROUP", help="Share the load with the other bridges of this group."),
    ] = None,
    client_id: Annotated[str, typer.Option(help="MQTT client id of this bridge.")] = "",
    log_level: LevelOption = "info",
    debug_log: Annotated[Path | None, typer.Option(help="Log full messages to a file.")] = None,
    enable_debug_logging: Annotated[str, typer.Option(hidden=True, metavar="True|False")] = "False",
    health_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A file that is written every 5 s while the bridge is connected, for probes."
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Test the broker and the model server, and exit.")] = False,
    store: StoreOption = None,
) -> None:
    """Answer messages from an MQTT broker with a model server.

    While the broker or the model server is away, it keeps trying. Exit codes: 0 stopped by Ctrl-C or SIGTERM, 1 the
    broker or the model server can't be used (only --check, and --shared without MQTT 5), 2 bad usage, 130 stopped by a
    second Ctrl-C, with messages in progress.
    """
    try:
        from agentkit.serving.chat_service import ChatService
        from agentkit.serving.mqtt.broker import UnsupportedBrokerError
        from agentkit.serving.mqtt.projects import projects_named
        from agentkit.serving.mqtt.settings import BridgeSettings
    except ImportError:
        leave(str(MissingExtraError("the MQTT bridge", "mqtt")), BAD_USAGE)
    try:
        check_environment([*VARIABLES, PROJECTS], "AGENTKIT_MQTT_")
        tools = [*named_tools(tool or (), docs), *mcp_servers(mcp or ())]
        selected = tuple(
            replace(each, tools=(*each.tools, *tools))
            for each in projects_named([*(projects or ()), *context.args], projects_file)
        )
        backend, name = _model(context, model)
        _check_health_file(health_file)
        is_logged = _truth("--enable-debug-logging", enable_debug_logging)
        _log(debug_log or (DEBUG_LOG if is_logged else None), log_level)
        hooks = load_hooks(hook or ())
    except ConfigurationError as error:
        leave(str(error), BAD_USAGE)
    settings = BridgeSettings(
        **connection,
        client_id=client_id,
        group=shared,
        workers=num_workers,
        rate=rate,
        max_sessions=max_concurrent_sessions,
        health_file=health_file,
    )
    with opened(store) as sessions:
        service = ChatService(
            backend,
            sessions,
            history_tokens=max_history_tokens,
            evidence=mode_of(evidence or "flag"),
            taint=taint or "off",
            hooks=hooks,
        )
        try:
            if check:
                _check(service, settings, selected, name)
            else:
                _serve(service, settings, selected, name)
        except UnsupportedBrokerError as error:
            leave(str(error), FAILED)
        except ConfigurationError as error:
            leave(str(error), BAD_USAGE)
        except OSError as error:
            leave(f"the broker {settings.address} can't be used: {error}{settings.doubt}", FAILED)
        backend.close()


def _model(context: typer.Context, model: str | None) -> tuple[Backend, str]:
    """The model, and what it is called in messages. Raises ConfigurationError."""
    from agentkit.serving.upstream import base_url, model_server  # loads jsonschema, which other commands don't need

    options = context.params
    given = {name for name in options if _is_given(context, name)}
    if model is None:
        backend: Backend = model_server(
            options["server_url"],
            timeout=options["server_timeout"],
            temperature=options["temperature"],
            top_p=options["top_p"],
            max_tokens=options["max_tokens"],
            thinks=not _truth("--skip-thinking", options["skip_thinking"]),
        )
        return backend, f"{SERVER}{base_url(without_credentials(options['server_url']))}"
    if other := given & {"server_url", "server_timeout", "skip_thinking"}:
        name = sorted(other)[0].replace("_", "-")
        raise ConfigurationError(f"--{name} is for the model server at --server-url: it can't be combined with --model")
    backend = resolve(model)
    sampling: dict[str, Any] = {name: options[name] for name in ("temperature", "top_p", "max_tokens") if name in given}
    return (Sampling(backend, sampling) if sampling else backend), f"the model {without_credentials(model)}"


def _how_to_start(model: str) -> str:
    is_server = model.startswith(SERVER)
    return " Start one with: llama-server -m model.gguf --port 8080 --jinja" if is_server else ""


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")


def _truth(option: str, value: str) -> bool:
    """Return the meaning of an option that is written as True or False. Raises ConfigurationError for another word."""
    word = value.strip().lower()
    if word in ("true", "1", "yes", "on", "t", "y"):
        return True
    if word in ("false", "0", "no", "off", "f", "n"):
        return False
    raise ConfigurationError(f"{option} {in_a_line(value, 40)!r} is neither True nor False")


def _check_health_file(file: Path | None) -> None:
    """Remove what an earlier bridge has left. Raises ConfigurationError when the file can't be written, or is another
    one."""
    if file is None:
        return
    try:
        with file.open("a+b") as written:
            is_other = written.tell() > MAX_HEALTH
        if not is_other:
            file.unlink()
    except OSError as error:
        raise ConfigurationError(f"--health-file {file}: it can't be written: {error.strerror}") from None
    if is_other:
        raise ConfigurationError(f"--health-file {file}: this file is there already, and has something else in it")


def _check(service: Any, settings: Any, selected: Any, model: str) -> None:
    """Exit with an error message when the model server or the broker can't be used for these projects."""
    from agentkit import APIError  # loads openai
    from agentkit.serving.mqtt.checking import test_broker
    from agentkit.serving.mqtt.intake import answer_prefixes, routes_of

    try:
        service.test()
    except (APIError, SessionError) as error:
        leave(f"{model} can't be used: {error}{_how_to_start(model)}", FAILED)
    problems, limits = test_broker(settings, list(routes_of(selected)), answer_prefixes(selected))
    if problems:
        leave(f"the broker {settings.address} can't be used: {'; '.join(problems)}", FAILED)
    for limit in limits:
        print(limit)
    print(f"the broker {settings.address} and {model} are working")


def _serve(service: Any, settings: Any, selected: Any, model: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    from agentkit import APIError  # loads openai
    from agentkit.serving.mqtt.client_id import held_client_id, installation_name
    from agentkit.serving.mqtt.embedded import keep_trying, serve_until

    stopped, is_ready, is_tried = threading.Event(), threading.Event(), threading.Event()
    _stop_at_signals(stopped)
    names = [project.name for project in selected]
    folder = data_folder() / "bridges"
    is_member = settings.group is not None and not settings.client_id
    name = settings.client_id or f"agentkit-{'-'.join(names)}"[:60] + f"-{installation_name(folder)}"

    def test() -> None:
        try:
            service.test()
        except (APIError, SessionError, ConfigurationError, OSError) as error:
            raise ConnectionError(f"{in_a_line(str(error), 300)}; messages wait.{_how_to_start(model)}") from None
        finally:
            is_tried.set()

    def wait_for_model() -> None:
        if keep_trying(model, test, (ConnectionError,), stopped):
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


def _stop_at_signals(stopped: threading.Event) -> None:
    """Set an event at SIGTERM and Ctrl-C. A second Ctrl-C ends the program: the broker sends what is not answered
    again."""
    first = [float("inf")]

    def stop(number: int, _: Any) -> None:
        if number == signal.SIGINT and time.monotonic() - first[0] > AGAIN_SECONDS:
            raise SystemExit(INTERRUPTED)
        if not stopped.is_set():
            first[0] = time.monotonic()
            with suppress(OSError):
                os.write(2, STOPPING)  # a handler of signals may not print: the main thread may be doing so
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _log(debug_log: Path | None, level: str) -> None:
    """Log to standard error. Full messages are logged only to `debug_log`, which only its owner can read. Raises
    ConfigurationError when it can't be written."""
    log_to_stderr(level)
    if debug_log is None:
        return
    try:
        debug_log.touch(mode=0o600)
        debug_log.chmod(0o600)
        os.umask(0o077)  # for the rotated files
        handler = logging.handlers.RotatingFileHandler(debug_log, maxBytes=10_000_000, backupCount=3, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--debug-log {debug_log}: it can't be written: {error.strerror}") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("agentkit.mqtt.messages")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)


@with_broker_options
def mqtt_chat(
    connection: dict[str, Any],
    project: Annotated[str, typer.Option(help="Project to chat with.")] = "general",
    session: Annotated[str | None, typer.Option(help="Session to continue; a new one by default.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.")] = 60.0,
) -> None:
    """Chat with a bridge over MQTT, line by line, as a game does.

    Three quotation marks begin and end a message of several lines.

    Exit codes: 0 the input has ended, 1 the broker can't be used, 2 bad usage.
    """
    try:
        from agentkit.serving.mqtt.client import ChatClient
        from agentkit.serving.mqtt.settings import BrokerSettings
    except ImportError:
        leave(str(MissingExtraError("the MQTT client", "mqtt")), BAD_USAGE)
    settings = BrokerSettings(**connection)
    try:
        client = ChatClient(settings)
        client.begin(project, session or f"chat-{uuid.uuid4().hex[:8]}")
    except ConfigurationError as error:
        leave(str(error), BAD_USAGE)
    except OSError as error:
        leave(f"the broker {settings.address} can't be used: {error}{settings.doubt}", FAILED)
    all_answered = True
    try:
        while True:
            try:
                line = next_typed().text
            except (EOFError, KeyboardInterrupt):
                break
            if not line.strip():
                continue
            answer = client.ask(line, timeout)
            all_answered = all_answered and answer is not None
            print(printable(answer) if answer is not None else f"(no answer within {timeout:g} seconds)")
    finally:
        client.close()
    raise typer.Exit(0 if all_answered else FAILED)
