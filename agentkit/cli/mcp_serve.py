"""`agentkit mcp-serve`: tools, or an agent with them, for MCP clients."""

import os
import stat
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from agentkit import Agent, ConfigurationError, Tool
from agentkit.cli.ask import BAD_USAGE, FAILED
from agentkit.cli.logs import LevelOption, log_to_stderr
from agentkit.cli.options import DocsOption, ModelOption, SystemOption, ToolOption
from agentkit.cli.stores import leave
from agentkit.errors import MissingExtraError
from agentkit.mcp.server import serve_http
from agentkit.mcp.serving.answering import Server
from agentkit.mcp.serving.http import address_of
from agentkit.mcp.serving.offered import agent_tool
from agentkit.mcp.serving.stdio import serve_stdio
from agentkit.mcp.serving.streams import protocol_streams
from agentkit.running.agent_tools import AgentTools
from agentkit.serving.agent_loading import INSTRUCTIONS
from agentkit.serving.environment import DEFAULT_MODEL
from agentkit.serving.tool_loading import WEB_TOOLS, load_object, named_tools
from agentkit.tooling.error_text import described
from agentkit.tooling.foreign import holds_several
from agentkit.tooling.toolset import Toolset

EXIT_SECONDS = 1.0
"""After which time the program ends although a tool is still running."""


def mcp_serve(
    context: typer.Context,
    tool: ToolOption = None,
    docs: DocsOption = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Serve this tool of a list although it has effects; repeat for several."),
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option(metavar="'NAME: DESCRIPTION'", help="Serve an agent that has the tools, instead of the tools."),
    ] = None,
    model: ModelOption = None,
    system: SystemOption = None,
    http: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Listen there instead of serving standard input and output."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="File with the token that clients over HTTP have to send; only yours to read."
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Let web pages of this origin use it over HTTP: http://localhost:6274."),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="SECONDS", help="Give up calls of tools that have no timeout after this time."),
    ] = None,
    name: Annotated[str, typer.Option(help="The name of the server.")] = "agentkit",
    log_level: LevelOption = "warning",
) -> None:
    """Serve tools to MCP clients, such as Claude Desktop, VS Code and Cursor: search and visit, or those given by
    --tool and --docs.

    Exit codes: 0 the client is gone, or stopped, 1 the address can't be used, 2 bad usage.
    """
    log_to_stderr(log_level)
    with protocol_streams() as (source, sink):
        try:
            address, token = _address(http, token_file, allow_origin or [])
            served = _served(tool or [], docs, allow or [])
            if agent is not None:
                served = [_agent(agent, served, model or DEFAULT_MODEL, system)]
            elif _is_given(context, "model") or _is_given(context, "system"):
                raise ConfigurationError("--model and --system are for --agent: tools alone need no model")
            server = Server(served, name=name, timeout=timeout, is_private=token is not None)
            if address is not None:
                serve_http(server, address, token, allow_origin or [])
            else:
                _serve(server, source, sink)
        except (ConfigurationError, MissingExtraError) as error:
            leave(str(error), BAD_USAGE)
        except OSError as error:
            leave(f"can't listen on {http}: {(error.strerror or str(error)).lower()}", FAILED)
        except KeyboardInterrupt:
            return


def _serve(server: Server, source: int, sink: int) -> None:
    names = server.names
    if os.isatty(source):
        print(f"serving {', '.join(names)} to an MCP client on standard input and output", file=sys.stderr)
    if serve_stdio(server, source, sink):
        _end_soon()


def _address(
    http: str | None, token_file: Path | None, origins: list[str]
) -> tuple[tuple[str, int] | None, str | None]:
    """Where to listen, and the token. Raises ConfigurationError."""
    if http is None and (token_file is not None or origins):
        option = "--token-file" if token_file is not None else "--allow-origin"
        raise ConfigurationError(f"{option} is for --http: over standard input and output there is one client")
    return (None if http is None else address_of(http)), (None if token_file is None else _token(token_file))


def _is_given(context: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _end_soon() -> None:
    """End the program in a while, whatever a tool has begun."""

    def end() -> None:
        threading.Event().wait(EXIT_SECONDS)
        os._exit(0)

    threading.Thread(target=end, name="agentkit-mcp-end", daemon=True).start()


def _served(names: list[str], docs: str | Sequence[str] | None, allowed: list[str]) -> list[Any]:
    """The tools to serve. Of several under one name (a list, a toolset, a toolkit of another framework), those with
    effects are left out unless they are allowed or given by their own names. Raises ConfigurationError."""
    found: list[Any] = []
    left_out: list[str] = []
    for name in names or ([] if docs else WEB_TOOLS):
        given = load_object(name)
        is_one = not isinstance(given, list | tuple | Toolset) and not holds_several(given)
        for each in _tools_of(name, given):
            if not is_one and not each.options.read_only and each.name not in allowed:
                left_out.append(each.name)
            elif not any(_is_same(each, other) for other in found):
                found.append(each)
    known = {each.name for each in found}
    if left_out := [each for each in left_out if each not in known]:
        options = " ".join(f"--allow {each}" for each in left_out)
        print(f"agentkit: not served, since they may have effects: {', '.join(left_out)} ({options})", file=sys.stderr)
    if unknown := [each for each in allowed if each not in known]:
        raise ConfigurationError(f"--allow {unknown[0]!r}: none of the tools has that name")
    found += named_tools((), docs)
    if not found:
        raise ConfigurationError("there is no tool to serve")
    return found


def _tools_of(name: str, given: Any) -> list[Tool[..., Any]]:
    """The tools that an object is or holds; of a toolset, those that there are now. name: of --tool. Raises
    ConfigurationError."""
    try:
        return list(AgentTools(given if isinstance(given, list | tuple) else [given]).now())
    except ConfigurationError as error:
        raise ConfigurationError(f"--tool {name!r}: {error}") from None
    except Exception as error:  # noqa: BLE001 - of a toolset
        raise ConfigurationError(f"--tool {name!r}: {described(error)}") from None


def _is_same(one: Tool[..., Any], other: Tool[..., Any]) -> bool:
    """Whether two are one tool, which a function becomes each time it is given."""
    return one is other or (one.name == other.name and one.function == other.function)


def _agent(text: str, tools: list[Any], model: str, system: str | None) -> Tool[..., str]:
    """The agent of --agent as a tool. Raises ConfigurationError."""
    name, _, description = map(str.strip, text.partition(":"))
    if not name or not description:
        raise ConfigurationError(
            f"--agent {text!r}: write a name and what it does, as in 'research: answers with sources'"
        )
    return agent_tool(Agent(model, tools=tools, instructions=system or INSTRUCTIONS), name, description)


def _token(path: Path) -> str:
    """The token in a file. Raises ConfigurationError for a file that others can read, and for an empty one."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            token = file.read(10_000).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ConfigurationError(f"--token-file {path}: {why.lower()}") from None
    if os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigurationError(f"--token-file {path}: others can read it: chmod 600 {path}")
    if not token:
        raise ConfigurationError(f"--token-file {path}: it is empty")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError(f"--token-file {path}: a token is one word of ASCII letters, digits and signs")
    return token
