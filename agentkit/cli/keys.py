"""`agentkit keys`: API keys of model providers, stored in a file that only the user can read."""

import getpass
import sys
from typing import Annotated

import typer

from agentkit import ConfigurationError
from agentkit.cli.ask import BAD_USAGE
from agentkit.cli.config import variable
from agentkit.cli.options import WITH_KEYS, complete_key
from agentkit.cli.piped import piped_text
from agentkit.cli.stores import leave
from agentkit.net.stored_keys import keys_file, remove_key, store_key, stored_keys, variable_of

app = typer.Typer(help="Store the API keys of model providers.", no_args_is_help=True)
Name = Annotated[
    str,
    typer.Argument(help=f"The provider: {', '.join(WITH_KEYS)}.", autocompletion=complete_key, show_default=False),
]


@app.command("set")
def set_(
    name: Name,
    given: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
) -> None:
    """Store a key, which is typed without being shown, or read from standard input.

    It is used when the variable of the environment (OPENAI_API_KEY for openai) is unset.
    """
    if given:
        leave(
            "a key on the command line can be seen by others (process list, history of the shell), so it was not "
            f"stored: run agentkit keys set {name} and paste it, or pipe it in",
            BAD_USAGE,
        )
    try:
        where = store_key(name, _typed(name))
    except ConfigurationError as error:
        leave(str(error), BAD_USAGE)
    print(f"stored in {where}", file=sys.stderr)
    if variable(variable_of(name)):
        print(f"agentkit: the environment variable {variable_of(name)} is set and comes first", file=sys.stderr)


@app.command("list")
def list_() -> None:
    """List the names of the stored keys, each with its last characters."""
    try:
        kept = stored_keys()
    except ConfigurationError as error:
        leave(str(error), BAD_USAGE)
    for name, key in sorted(kept.items()):
        hidden = f" (not used: {variable_of(name)} is set)" if variable(variable_of(name)) else ""
        print(f"{name:<12} {masked(key)}{hidden}")
    if not kept:
        print("no keys are stored: agentkit keys set openai stores one", file=sys.stderr)


@app.command()
def remove(name: Name) -> None:
    """Remove a stored key."""
    try:
        remove_key(name)
    except ConfigurationError as error:
        leave(str(error), BAD_USAGE)


@app.command()
def path() -> None:
    """Print where the keys are stored."""
    try:
        print(keys_file())
    except ConfigurationError as error:
        leave(str(error), 1)


def masked(key: str) -> str:
    """Return what tells a key from others without giving it away."""
    return f"…{key[-4:]}" if len(key) >= 16 else "…"


def _typed(name: str) -> str:
    if sys.stdin.isatty():
        try:
            return getpass.getpass(f"Key of {name} (it is not shown): ")
        except EOFError:
            return ""
    lines = piped_text(is_wanted=True).strip().splitlines()
    if len(lines) > 1:
        raise ConfigurationError("the key has to be one line: nothing was stored")
    return lines[0] if lines else ""
