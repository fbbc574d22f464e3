"""Serves tools and agents to MCP clients."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterable
from typing import Any

from agentkit.agent import Agent
from agentkit.errors import ConfigurationError
from agentkit.mcp.serving.answering import Server
from agentkit.mcp.serving.http import HTTPServing, address_of
from agentkit.mcp.serving.stdio import serve_stdio
from agentkit.mcp.serving.streams import protocol_streams
from agentkit.running.agent_tools import AnyTool


def serve(
    tools: Agent | Iterable[AnyTool | Agent],
    *,
    http: str | None = None,
    token: str | None = None,
    origins: Iterable[str] = (),
    name: str = "agentkit",
    version: str = "",
    instructions: str = "",
    deps: Any = None,
    timeout: float | None = None,
) -> None:
    """Serve tools to MCP clients (versions 2024-11-05 to 2026-07-28), until the client is gone or the program is
    interrupted.

    tools: functions, plain or decorated with `@tool`, toolsets, and agents; an agent is one tool, named "ask" unless
    `agent.as_tool(name, description)` is passed. http: the address to listen on, "host:port", served under /mcp; None
    serves the one client that has started this program, over standard input and output. token: what clients over HTTP
    have to send (`Authorization: Bearer ...`); needed for a host that is not this machine's loopback. origins: of web
    pages that may use the server over HTTP, such as "http://localhost:6274" of the Inspector. name, version: what
    clients are told. instructions: for the models of clients, about the tools together. deps: what tools get as
    `ctx.deps`. timeout: seconds after which a call of a tool without a timeout of its own is given up; None: no limit.

    Raises ToolDefinitionError for an invalid tool, ConfigurationError for another invalid argument, OSError when the
    address can't be listened on.
    """
    options: dict[str, Any] = {"name": name, "version": version, "instructions": instructions, "deps": deps}
    if http is not None:
        address = address_of(http)
        serve_http(Server(tools, timeout=timeout, is_private=token is not None, **options), address, token, origins)
        return
    if token is not None or tuple(origins):
        what = "token=..." if token is not None else "origins=..."
        raise ConfigurationError(f"{what} is for http=...: over standard input and output there is one client")
    with protocol_streams() as (source, sink):
        serve_stdio(Server(tools, timeout=timeout, **options), source, sink)


def serve_http(server: Server, address: tuple[str, int], token: str | None, origins: Iterable[str] = ()) -> None:
    """Serve over HTTP until the program is interrupted or terminated. Raises OSError, and ConfigurationError for a
    host that needs a token, and for what is no origin."""
    stopped = threading.Event()
    with HTTPServing(server, address, token, origins) as serving:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: stopped.set())
        count = len(server.names)
        tools = f"{count} tool{'' if count == 1 else 's'}"
        with contextlib.suppress(OSError, ValueError, AttributeError):  # there may be no standard error
            sys.stderr.write(f"serving {tools} on {serving.url}; press Ctrl-C to stop\n")
            sys.stderr.flush()
        try:
            while not stopped.wait(3600.0):
                pass
        except KeyboardInterrupt:
            return
