"""`agentkit mcp login`: logins to MCP servers, stored in a file that only the user can read."""

import contextlib
import sys
from typing import Annotated

import typer

from agentkit import ConfigurationError, ToolError
from agentkit.cli.ask import BAD_USAGE, FAILED
from agentkit.cli.printable import printable
from agentkit.cli.stores import leave

app = typer.Typer(help="Log in to MCP servers.", no_args_is_help=True)


@app.command()
def login(
    url: Annotated[str, typer.Argument(help="The address of the server: https://host/mcp.", show_default=False)],
    scope: Annotated[
        str | None, typer.Option(metavar="'A B'", help="What to ask for, in place of what the server names.")
    ] = None,
    client_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="A client that was registered by hand, where the server registers none."),
    ] = None,
    resource: Annotated[
        str | None,
        typer.Option(metavar="URI", help="What tokens are for, in place of what the server says; '' to send none."),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="To which the browser comes back on this machine; 0: any.")
    ] = 0,
    host: Annotated[
        str, typer.Option(metavar="NAME", help="What this machine is called then: 127.0.0.1 or localhost.")
    ] = "127.0.0.1",
) -> None:
    """Log in to an MCP server with the browser, and store the tokens, which --mcp URL and MCP(URL) then use and renew.

    Exit codes: 0 logged in, 1 the login has failed, 2 bad usage.
    """
    from agentkit.cli.pasted import pasting
    from agentkit.mcp.oauth import OAuth
    from agentkit.mcp.oauth.browser import Browser
    from agentkit.mcp.oauth.store import Store

    try:
        store = Store.of_user()
        with contextlib.closing(Browser(_show, port, host=host)) as browser, pasting(browser):
            OAuth(browser, client_id=client_id, scope=scope, resource=resource, store=store).login(url)
    except ConfigurationError as error:
        leave(str(error), BAD_USAGE)
    except ToolError as error:
        leave(str(error), FAILED)
    except OSError as error:
        leave(f"can't listen on port {port}: {(error.strerror or str(error)).lower()}", FAILED)
    print(f"stored in {store.path}", file=sys.stderr)


def _show(text: str) -> None:
    print(printable(text), file=sys.stderr)
