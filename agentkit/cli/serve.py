"""`agentkit serve` runs the chat service; `agentkit serve keys` manages its API keys."""

import logging.config
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from agentkit import ConfigurationError, SessionError
from agentkit.cli.ask import BAD_USAGE, FAILED
from agentkit.cli.options import DocsOption, EvidenceOption, HookOption, McpOption, TaintOption, ToolOption
from agentkit.cli.stores import StoreOption, leave
from agentkit.errors import MissingExtraError
from agentkit.serving.environment import Level, hand_on, set_defaults

app = typer.Typer(invoke_without_command=True)
keys = typer.Typer(no_args_is_help=True, help="Manage the API keys of the service.")
app.add_typer(keys, name="keys")


@app.callback()
def serve(
    context: typer.Context,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="HOST", help="Address to listen on, or unix:PATH; default: AGENTKIT_HOST, else 127.0.0.1."
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Port to listen on; default: AGENTKIT_PORT, else 8000. 0: any free one.",
        ),
    ] = None,
    root_path: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Path under which a reverse proxy serves it; default: AGENTKIT_ROOT_PATH."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="provider:model\\[@url]; default: the model server at LLM_SERVER_URL."),
    ] = None,
    tool: ToolOption = None,
    hook: HookOption = None,
    docs: DocsOption = None,
    mcp: McpOption = None,
    evidence: EvidenceOption = None,
    taint: TaintOption = None,
    prompts: Annotated[Path | None, typer.Option(metavar="FILE", help="TOML file of named system prompts.")] = None,
    mqtt: Annotated[
        bool, typer.Option("--mqtt", help="Also run the MQTT bridge, with the same model and sessions.")
    ] = False,
    projects: Annotated[str, typer.Option(help="MQTT projects, separated by spaces or commas.")] = "general",
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Number of worker processes; default: AGENTKIT_WORKERS, else 1."),
    ] = None,
    keep_alive: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="SECONDS",
            help="Seconds that an idle connection is kept; default: AGENTKIT_KEEP_ALIVE, else 120.",
        ),
    ] = None,
    stop_seconds: Annotated[
        float | None,
        typer.Option(
            min=1, metavar="SECONDS", help="Seconds until a stop is complete; default: AGENTKIT_STOP_SECONDS, else 10."
        ),
    ] = None,
    access_log: Annotated[
        bool | None,
        typer.Option(
            "--access-log/--no-access-log", help="Log each request; default: AGENTKIT_ACCESS_LOG, else it is logged."
        ),
    ] = None,
    log_level: Annotated[
        Level | None,
        typer.Option(
            case_sensitive=False,
            metavar="LEVEL",
            help="Least level that is logged: debug, info, warning or error; default: AGENTKIT_LOG_LEVEL, else info.",
        ),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Serve the agent over HTTP, with a chat page.

    Settings are read from the environment and from .env (see .env.example); options override them.

    Exit code: 0 stopped, 1 the port can't be used, 2 bad usage.
    """
    if context.invoked_subcommand is not None:
        return
    options: dict[str, object] = {
        "AGENTKIT_HOST": host,
        "AGENTKIT_PORT": port,
        "AGENTKIT_ROOT_PATH": root_path,
        "AGENTKIT_MODEL": model,
        "AGENTKIT_TOOLS": ",".join(tool or ()) or None,
        "AGENTKIT_HOOKS": ",".join(hook or ()) or None,
        "AGENTKIT_DOCS": "\n".join(docs or ()) or None,
        "AGENTKIT_MCP": "\n".join(mcp or ()) or None,
        "AGENTKIT_EVIDENCE": evidence,
        "AGENTKIT_TAINT": taint,
        "AGENTKIT_PROMPTS": prompts,
        "AGENTKIT_MQTT_PROJECTS": projects if mqtt else None,
        "AGENTKIT_SESSIONS": store,
        "AGENTKIT_WORKERS": workers,
        "AGENTKIT_KEEP_ALIVE": keep_alive,
        "AGENTKIT_STOP_SECONDS": stop_seconds,
        "AGENTKIT_ACCESS_LOG": access_log,
        "AGENTKIT_LOG_LEVEL": log_level,
    }
    settings = _settings(options)
    with ExitStack() as stack:
        if settings.agentkit_workers > 1:
            settings.prometheus_multiproc_dir = Path(
                stack.enter_context(TemporaryDirectory(prefix="agentkit-metrics-"))
            )
            hand_on({"PROMETHEUS_MULTIPROC_DIR": settings.prometheus_multiproc_dir})
        _run(settings)


def _run(settings: Any) -> None:
    from agentkit.serving.http.listening import UNIX, listeners, remover

    host, port = settings.agentkit_host, settings.agentkit_port
    try:
        sockets = listeners(host, port)  # first, since what is loaded for the application may take its time
    except (OSError, UnicodeError) as error:
        where = host if host.startswith(UNIX) else f"{host}:{port}"
        leave(f"can't listen on {where}: {(getattr(error, 'strerror', None) or str(error)).lower()}", FAILED)
    with ExitStack() as stack:
        for each in sockets:
            stack.enter_context(each)
        stack.callback(remover(host))
        _serve(settings, sockets)


def _serve(settings: Any, sockets: list[socket.socket]) -> None:
    from agentkit.serving.http.server import run

    host, created = settings.agentkit_host, _application(settings)
    if created.state.service.authenticator.is_open and not _is_loopback(host):
        leave(
            f"without authentication every client that can reach {host} could use this service: create an API key "
            "(agentkit serve keys add NAME), or set AGENTKIT_JWT_SECRET or AGENTKIT_JWT_JWKS",
            BAD_USAGE,
        )
    shown = _shown(host, sockets[0]) + str(settings.agentkit_root_path)

    def announce() -> None:
        print(f"serving on {shown}; press Ctrl-C to stop", file=sys.stderr, flush=True)

    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises the signal again after its shutdown
    if not run(created, sockets, announce):
        raise typer.Exit(FAILED)


def _settings(options: Mapping[str, object], **given: Any) -> Any:
    """The settings of the service: options, environment, `.env`. Exits the program with an error message when they
    are wrong. Worker processes, and what reads the environment itself, find them there. given: fields that are not
    read."""

    def read() -> Any:
        set_defaults(EnvFile(Path(".env")).values)
        hand_on(options)
        settings = HttpSettings(**given)
        logging.config.dictConfig(logging_at(settings.agentkit_log_level))
        return settings

    try:
        from pydantic import ValidationError

        from agentkit.serving.http.env_file import EnvFile
        from agentkit.serving.http.logs import logging_at
        from agentkit.serving.http.settings import HttpSettings
    except ImportError:
        leave(str(MissingExtraError("the chat service", "http")), BAD_USAGE)
    return _configured(read, ValidationError)


def _application(settings: Any) -> Any:
    """Create the application. Exits the program with an error message when that fails."""
    try:
        from pydantic import ValidationError

        from agentkit.serving.http.app import create_app
    except ImportError:
        leave(str(MissingExtraError("the chat service", "http")), BAD_USAGE)
    return _configured(lambda: create_app(settings), ValidationError)


def _configured(make: Callable[[], Any], invalid: type[Any]) -> Any:
    """Return what a function makes from the settings. Exits the program with an error message when that fails."""
    try:
        return make()
    except invalid as error:
        leave("; ".join(map(_explained, error.errors(include_input=False, include_url=False))), BAD_USAGE)
    except (ConfigurationError, MissingExtraError, SessionError) as error:
        leave(str(error), BAD_USAGE)


def _explained(error: Mapping[str, Any]) -> str:
    where = "".join(f"{str(part).upper()}: " for part in error["loc"][:1])
    return where + str(error["msg"]).removeprefix("Value error, ")


def _shown(host: str, listener: socket.socket) -> str:
    """Where the service is, for its user."""
    if not isinstance(listener.getsockname(), tuple):
        return host
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "::1") or host.startswith("unix:")  # other names: DNS rebinding


def _keys() -> Any:
    settings = _settings({}, agentkit_sessions="memory:")  # keys need none, nor a place for them
    from agentkit.serving.http.keys import Keys

    return Keys(settings.agentkit_keys_file)


@keys.command()
def add(name: str) -> None:
    """Create an API key for NAME and print it; it can't be shown again."""
    with _sentences():
        print(_keys().add(name))


@keys.command("list")
def list_keys() -> None:
    """List the names that have an API key."""
    with _sentences():
        for name in _keys().names():
            print(name)


@keys.command()
def remove(name: str) -> None:
    """Revoke the API key of NAME, with immediate effect."""
    with _sentences():
        stored = _keys()
        stored.remove(name)
        if not stored.names():
            print("no API keys are left: the service rejects all requests until one is created", file=sys.stderr)


@contextmanager
def _sentences() -> Iterator[None]:
    """Exit the program with an error message where an error is the user's."""
    try:
        yield
    except ConfigurationError as error:
        leave(str(error), BAD_USAGE)
