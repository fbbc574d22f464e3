"""The client of one MCP server: starts it when it is first needed, agrees on a protocol version, calls, starts again.

client = Client(lambda heard: Stdio("npx -y some-server", heard=heard), label="files", timeout=30)
tools = client.list_all("tools/list", "tools").items
result = client.call_tool("read_file", {"path": "a.txt"}, read_only=True)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentkit._closing import Closable
from agentkit.mcp.channel import Channel, Heard, Patience
from agentkit.mcp.questions import Ask


@dataclass(frozen=True)
class Server:
    """What a server has said of itself. version: the protocol version in use. capabilities: such as {"tools": {...}}.
    instructions: how a model should use it, "" for none. name: of its program."""

    version: str
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    instructions: str = ""
    name: str = ""


@dataclass(frozen=True)
class Listed:
    """A whole list. items: its objects (others are left out). ttl: seconds for which it is fresh; None: not said."""

    items: list[dict[str, Any]]
    ttl: float | None = None


class Client(Closable):
    """One MCP server, for several threads at once.

    open_channel: opens a connection (starts the process); is given what hears the server's own messages. It is called
    in a thread of agentkit's, again after the server has ended, and in a forked child; it raises Gone, and
    ConfigurationError for what can't work. label: what errors and questions call the server. timeout: seconds without
    a sign of life after which a call that has no patience of its own ends; also how long a start may take, where that is
    more than 60 seconds. ask: answers what the server asks a person; None: each question is declined. changed: called
    when the server has said that its tools have changed, in a thread of agentkit's; must not wait.

    A channel over HTTP has an attribute `session` (str, "" for none). When its session is lost, it raises
    Gone(sent=False) and is lost, or passes on the server's error with "session" in its message: then a new channel is
    opened, once, and the call sent again.

    Raises ConfigurationError for a timeout that is not a positive number.
    """

    def __init__(
        self,
        open_channel: Callable[[Heard], Channel],
        label: str,
        timeout: float = 30.0,
        *,
        ask: Ask | None = None,
        changed: Callable[[], None] | None = None,
    ) -> None:
        raise NotImplementedError

    def begin(self) -> None:
        """Start the server without waiting for it; what goes wrong is raised by the next call."""

    def server(self, patience: Patience | None = None) -> Server:
        """What the server has said of itself; starts it. Raises Gone, Slow, MCPError, and ConfigurationError where the
        channel can't be opened."""
        raise NotImplementedError

    def request(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        patience: Patience | None = None,
        *,
        read_only: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send a request and return its result. Questions in between are answered. read_only: it may be sent once more
        to a fresh server when the connection ends. headers: for a channel over HTTP. Raises what `server` raises."""
        raise NotImplementedError

    def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        read_only: bool = False,
        patience: Patience | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Call a tool and return its result object; one with `isError` too. Raises what `server` raises; for a tool
        with effects whose connection ended, the message says that it is not known whether it had an effect."""
        raise NotImplementedError

    def list_all(self, method: str, key: str, patience: Patience | None = None) -> Listed:
        """All pages of a list, such as `list_all("tools/list", "tools")`. Stops at a cursor that it has seen, and after
        1,000 pages or 10,000 objects, with a warning. An empty list where the server has no such method. Raises what
        `server` raises."""
        raise NotImplementedError

    def close(self) -> None:
        """End the connection, and the process of the server. A later call starts it again."""
