"""Where the command line stores its sessions."""

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from agentkit.cli.printable import printable
from agentkit.errors import ConfigurationError, SessionError
from agentkit.serving.environment import session_store

if TYPE_CHECKING:
    from agentkit import Session
    from agentkit.sessions import Sessions

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="FILE|URL",
        envvar="AGENTKIT_SESSIONS",
        help="SQLite file, redis://... or the URL of another store; default: a file in the user's data folder.",
    ),
]


def opened(where: str | None) -> "Sessions":
    """Open the session store. Exits the program with an error message when it can't be used.

    where: file or URL; None for the default store.
    """
    from agentkit.sessions import open_sessions

    try:
        return open_sessions(where or session_store())
    except (ConfigurationError, SessionError) as error:
        leave(str(error), 2)


def chosen_session(
    name: str | None, continues: bool, where: str | None, leaving: ExitStack, *, quiet: bool
) -> "Session | None":
    """Return the session of this name, with `continues` and without a name the one that was written last, None when
    neither is asked for.

    leaving: closes the store. quiet: don't say which one is the last. Raises ConfigurationError for an invalid name,
    and when no session is stored."""
    if name is None and not continues:
        return None
    sessions = leaving.enter_context(opened(where))
    try:
        if name is not None:
            return sessions[name]
        stored = [info.id for info in sessions.list()]
    except SessionError as error:
        raise ConfigurationError(str(error)) from None
    latest = next((each for each in stored if ":" not in each), None)  # services' ids have a colon
    if latest is None:
        others = f" ({stored[0]} has a colon, as those of services: continue it with --session)" if stored else ""
        raise ConfigurationError(
            f"no conversation is stored that could be continued{others}: begin one with --session NAME"
        )
    if not quiet:
        passed = next((each for each in stored if ":" in each), None) if stored[0] != latest else None
        more = (
            f"; {passed}, which is newer, has a colon, as those of services: --session continues it" if passed else ""
        )
        print(f"(continuing the session {latest}{more})", file=sys.stderr)
    return sessions[latest]


def leave(message: str, code: int) -> NoReturn:
    """Print an error message and exit the program with this code."""
    print(f"agentkit: {printable(message)}", file=sys.stderr)
    raise typer.Exit(code)
