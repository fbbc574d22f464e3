"""One MCP server: requests to it, as tools make them. Shared by threads and by all views of its tools."""

import threading
from collections.abc import Mapping
from typing import Any

from agentkit._forking import freed_by_forks
from agentkit.mcp.channel import Patience
from agentkit.mcp.client import MIN_START_SECONDS, Client
from agentkit.mcp.errors import MCPError
from agentkit.mcp.handshake import Server
from agentkit.mcp.param_headers import param_headers
from agentkit.mcp.run_questions import RunQuestions, declined
from agentkit.mcp.settings import Settings
from agentkit.tools import Context

LISTS = 3
"""Of tools, of resources, of templates: together they may take as many timeouts."""
UNKNOWN_TOOL = (-32601, -32602)
"""Codes of the errors with which servers answer calls of a tool that they don't have, among others."""


class Changes:
    """Counts how often the tools of a server may have changed."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = freed_by_forks(threading.Lock())

    def add(self) -> None:
        """They may have changed."""
        with self._lock:
            self.count += 1


class Connection:
    """One server: its client and its settings. Pickled and copied as its settings, so that the copy opens a connection
    of its own. changes: of its list of tools."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.changes = Changes()
        ask = settings.ask or declined  # servers are told that they may ask
        self.client = Client(
            settings.open_channel,
            settings.label,
            settings.timeout,
            ask=ask,
            changed=self.changes.add,
            may_discover=not settings.handshake,
        )

    def __reduce_ex__(self, protocol: Any) -> Any:
        self.settings.check_pickle(int(protocol))
        return Connection, (self.settings,)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Connection":
        memo[id(self)] = made = Connection(self.settings)
        return made

    def call(
        self,
        entry: Mapping[str, Any],
        arguments: Mapping[str, Any],
        context: Context | None,
        read_only: bool,
        timeout: float | None,
    ) -> dict[str, Any]:
        """Call a tool and return its result. entry: the tool as its server describes it. read_only: the call is made
        once more where the connection ends. timeout: seconds without a sign of life; None: the server's. Raises Gone,
        Slow, MCPError."""
        headers = param_headers(entry, arguments) if self.settings.is_url else None
        patience, ask = self.patience(context, timeout), self.settings.ask or RunQuestions(context)
        try:
            return self.client.call_tool(
                entry["name"], arguments, read_only=read_only, patience=patience, headers=headers, ask=ask
            )
        except MCPError as error:
            if error.code in UNKNOWN_TOOL:
                self.changes.add()
            raise

    @property
    def start_seconds(self) -> float:
        """How long a start may take: longer than a call, as some servers are downloaded first."""
        return max(self.settings.timeout, MIN_START_SECONDS)

    @property
    def listing_seconds(self) -> float:
        """How long it may take until all lists are read, with the start."""
        return self.start_seconds + LISTS * self.settings.timeout

    def start(self, end: float | None = None) -> None:
        """Wait until the server has started. end: see `patience`. Raises Gone, Slow, MCPError, and ConfigurationError
        for what can't be started."""
        self.described(end)

    def described(self, end: float | None = None) -> Server:
        """What the server says of itself; starts it. end: see `patience`. Raises as `start` does."""
        return self.client.server(self.patience(timeout=self.start_seconds, end=end))

    def patience(
        self, context: Context | None = None, timeout: float | None = None, end: float | None = None
    ) -> Patience:
        """How long a request waits. context: of the run in which it is made. end: without one, the `time.monotonic()`
        at which it is over in any case."""
        seconds = self.settings.timeout if timeout is None else timeout
        if context is None:
            return Patience(seconds, end)
        return Patience(seconds, context.deadline, context.cancel, context.progress)

    def close(self) -> None:
        """End the connection; the next call opens it again."""
        self.client.close()
        self.changes.add()
