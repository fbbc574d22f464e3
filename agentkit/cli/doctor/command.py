"""`agentkit doctor`: checks the abilities of a model server, and how runs handle errors on this machine."""

import json
import logging
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from agentkit import ConfigurationError
from agentkit._text import without_credentials
from agentkit.cli.ask import BAD_USAGE, FAILED
from agentkit.cli.stores import leave
from agentkit.providers import resolve

if TYPE_CHECKING:
    from agentkit.cli.doctor.checks import Check

COLOURS = {"yes": "green", "no": "yellow", "unknown": "dim", "failed": "bold red"}


def doctor(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL|URL]", help="provider:model, provider:model@url, or the URL of a server."),
    ] = None,
    faults: Annotated[bool, typer.Option(help="Simulate errors with a local scripted server.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object for each line.")] = False,
) -> None:
    """Check the abilities of a model server, and that errors of models, tools and connections don't break a run.

    Exit code: 0 no check failed, 1 a check failed, 2 bad usage.
    """
    from openai import APIConnectionError, APIError  # as do the checks: half a second that other commands don't need

    from agentkit.cli.doctor.checks import check_server
    from agentkit.cli.doctor.conformance import check_error_handling

    if model is None and not faults:
        leave("there is nothing to check: name a server, or leave out --no-faults", BAD_USAGE)
    logging.getLogger("agentkit").setLevel(logging.CRITICAL)  # errors are reported in the table
    failed = 0
    if model is not None:
        try:
            backend = resolve(_name_of(model))
        except ConfigurationError as error:
            leave(str(error), BAD_USAGE)
        except APIConnectionError as error:
            leave(f"{without_credentials(model)} can't be reached: {error}", FAILED)
        except APIError as error:
            leave(f"{without_credentials(model)} does not list its models: {error}", FAILED)
        try:
            failed += _print(str(backend), check_server(backend), as_json)
        finally:
            backend.close()
    if faults:
        failed += _print("error handling", check_error_handling(), as_json)
    raise typer.Exit(FAILED if failed else 0)


def _name_of(model: str) -> str:
    """Returns the name of the model; for a URL, the first model that the server lists. Raises ConfigurationError for a
    URL of no such server, APIError when it fails."""
    if not model.startswith(("http://", "https://")):
        return model
    from agentkit.backends import OpenAIBackend
    from agentkit.net.http_client import Transport
    from agentkit.net.wording import OPENAI

    url = model if "/v1" in model else f"{model.rstrip('/')}/v1"
    OpenAIBackend("any", base_url=url)  # checks it
    transport = Transport(url, timeout=10.0, max_retries=0, wording=OPENAI)
    try:
        content = transport.answered("GET", "/models", None, whole=True).content or b""
    finally:
        transport.close()
    try:
        name = json.loads(content)["data"][0]["id"]
    except (ValueError, LookupError, TypeError, RecursionError):
        name = None
    if not isinstance(name, str) or not name:
        raise ConfigurationError(
            f"{without_credentials(model)} lists no models: specify one as openai:NAME@{without_credentials(url)}"
        )
    return f"openai:{name}@{url}"


def _print(title: str, checks: "Iterable[Check]", as_json: bool) -> int:
    """Print each check when it has finished. Returns the number of failed checks."""
    console = Console(highlight=False)
    if not as_json:
        console.print(Text(title, style="bold"), soft_wrap=True)
    failed = 0
    for check in checks:
        failed += check.verdict == "failed"
        if as_json:
            print(json.dumps({"about": title, **asdict(check)}, ensure_ascii=False), flush=True)
            continue
        verdict = (f"{check.verdict:<8}", COLOURS[check.verdict])
        line = Text.assemble(f"  {check.what:<37} ", verdict, f"{check.seconds:6.1f} s  ", (check.detail, "dim"))
        if sys.stdout.isatty():  # rich takes FORCE_COLOR for a terminal too
            console.print(line, no_wrap=True, overflow="ellipsis")
        else:
            console.print(line, soft_wrap=True)
    return failed
