"""Where the command line keeps its sessions."""

import sys
from typing import Annotated, NoReturn

import typer

from agentkit import ConfigurationError, SessionError
from agentkit.serving.environment import session_store
from agentkit.serving.session_stores import open_sessions
from agentkit.session import Sessions

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="FILE|URL",
        help="An SQLite file or redis://...; otherwise AGENTKIT_SESSIONS, else a file at home.",
    ),
]


def opened(where: str | None) -> Sessions:
    """The store of that name. Leaves the program with a sentence when it can't be used."""
    try:
        return open_sessions(where or session_store())
    except (ConfigurationError, SessionError) as error:
        leave(str(error), 2)


def leave(message: str, code: int) -> NoReturn:
    """End the program with a sentence."""
    from agentkit.cli.progress import printable

    print(f"agentkit: {printable(message)}", file=sys.stderr)
    raise typer.Exit(code)
