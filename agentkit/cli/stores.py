"""Where the command line stores its sessions."""

import sys
from typing import Annotated, NoReturn

import typer

from agentkit import ConfigurationError, SessionError
from agentkit.serving.environment import session_store
from agentkit.sessions import Sessions, open_sessions

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="FILE|URL",
        help="SQLite file, redis://... or the URL of another store; default: AGENTKIT_SESSIONS, else a file in the "
        "user's data folder.",
    ),
]


def opened(where: str | None) -> Sessions:
    """Open the session store. Exits the program with an error message when it can't be used.

    where: file or URL; None for the default store.
    """
    try:
        return open_sessions(where or session_store())
    except (ConfigurationError, SessionError) as error:
        leave(str(error), 2)


def leave(message: str, code: int) -> NoReturn:
    """Print an error message and exit the program with this code."""
    from agentkit.cli.progress import printable

    print(f"agentkit: {printable(message)}", file=sys.stderr)
    raise typer.Exit(code)
