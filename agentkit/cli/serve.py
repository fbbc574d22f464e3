"""`agentkit serve`: the chat service; `agentkit serve keys`: who may use it."""

import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from agentkit import ConfigurationError, SessionError
from agentkit.cli.ask import BAD_USAGE, FAILED
from agentkit.cli.stores import StoreOption, leave
from agentkit.errors import MissingExtraError
from agentkit.serving.environment import hand_on

app = typer.Typer(invoke_without_command=True, help="Put the agent on the network: a chat service with a page.")
keys = typer.Typer(no_args_is_help=True, help="API keys of the service.")
app.add_typer(keys, name="keys")


@app.callback()
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    model: Annotated[
        str | None, typer.Option(help="provider:model[@url]; otherwise the server LLM_SERVER_URL.")
    ] = None,
    tool: Annotated[list[str] | None, typer.Option(metavar="MODULE:NAME", help="A tool of the agent.")] = None,
    docs: Annotated[str | None, typer.Option(metavar="DIR", help="Documents that the agent may search.")] = None,
    prompts: Annotated[Path | None, typer.Option(metavar="FILE", help="Named system prompts (TOML).")] = None,
    mqtt: Annotated[bool, typer.Option("--mqtt", help="Serve MQTT too, on the same sessions and model.")] = False,
    projects: Annotated[str, typer.Option(help="Over MQTT, with spaces or commas between.")] = "general",
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    store: StoreOption = None,
) -> None:
    """Serve. Settings come from the environment and from .env too (see .env.example); options go over them.

    Exit code: 0 when it was stopped, 1 when the port can't be used, 2 bad usage.
    """
    if context.invoked_subcommand is not None:
        return
    given: dict[str, str | None] = {
        "AGENTKIT_MODEL": model,
        "AGENTKIT_TOOLS": ",".join(tool or ()),
        "AGENTKIT_DOCS": docs,
        "AGENTKIT_PROMPTS": str(prompts) if prompts else None,
        "AGENTKIT_MQTT_PROJECTS": projects if mqtt else None,
        "AGENTKIT_SESSIONS": store,
    }
    with ExitStack() as stack:
        if workers > 1:
            given["PROMETHEUS_MULTIPROC_DIR"] = stack.enter_context(TemporaryDirectory(prefix="agentkit-figures-"))
        hand_on(given)  # workers read them there
        _run(host, port, workers)


def _run(host: str, port: int, workers: int) -> None:
    created = _application()
    if created.state.service.authenticator.is_open and not _is_loopback(host):
        leave(
            f"everybody who reaches {host} could use this service: make a key first (agentkit serve keys add NAME), or "
            "set AGENTKIT_JWT_SECRET or AGENTKIT_JWT_JWKS",
            BAD_USAGE,
        )
    import uvicorn

    print(f"serving on http://{f'[{host}]' if ':' in host else host}:{port}; Ctrl-C stops", file=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn sends it once more when it has stopped
    target: Any = created if workers == 1 else "agentkit.serving.http.app:create_app"
    try:
        uvicorn.run(
            target,
            factory=workers > 1,
            host=host,
            port=port,
            workers=workers,
            log_level="warning",
            timeout_graceful_shutdown=10,
            server_header=False,
        )
    except SystemExit as error:  # uvicorn has said why
        raise typer.Exit(FAILED if error.code else 0) from None


def _application() -> Any:
    """The application. Leaves the program with a sentence when it can't be made."""
    try:
        from pydantic import ValidationError

        from agentkit.serving.http.app import create_app
    except ImportError:
        leave(str(MissingExtraError("the chat service", "http")), BAD_USAGE)
    try:
        return create_app()
    except ValidationError as error:
        told = error.errors(include_input=False, include_url=False)
        leave("; ".join(f"{'.'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in told), BAD_USAGE)
    except (ConfigurationError, MissingExtraError, SessionError) as error:
        leave(str(error), BAD_USAGE)


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "::1")  # under no other name is it reached (DNS rebinding)


def _keys() -> Any:
    try:
        from agentkit.serving.http.keys import Keys
        from agentkit.serving.http.settings import HttpSettings
    except ImportError:
        leave(str(MissingExtraError("the chat service", "http")), BAD_USAGE)
    return Keys(HttpSettings().agentkit_keys_file)


@keys.command()
def add(name: str) -> None:
    """Make a key for NAME, and print it; it is shown this once."""
    try:
        print(_keys().add(name))
    except ConfigurationError as error:
        leave(str(error), BAD_USAGE)


@keys.command("list")
def list_keys() -> None:
    """Who has a key."""
    for name in _keys().names():
        print(name)


@keys.command()
def remove(name: str) -> None:
    """Take the key of NAME away; it counts no more at once."""
    kept = _keys()
    try:
        kept.remove(name)
        if not kept.names():
            print("nobody has a key now: the service is shut until one is made", file=sys.stderr)
    except ConfigurationError as error:
        leave(str(error), BAD_USAGE)
