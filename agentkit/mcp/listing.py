"""Reads the list of a server's tools and makes tools of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentkit._lazy.logs import logger_of
from agentkit._text import in_a_line, shown
from agentkit.mcp.connection import Connection
from agentkit.mcp.param_headers import problem
from agentkit.mcp.resources import resource_tool
from agentkit.mcp.schemas import UnusableSchemaError, usable
from agentkit.mcp.server_tool import (
    CONTEXT,
    MAX_NAME,
    Entry,
    ServerCall,
    ServerTool,
    description_of,
    says_read_only,
    shown_names,
)
from agentkit.mcp.settings import Settings

logger = logger_of("agentkit")

MAX_TOLD = 10
"""Maximum tools that are left out, and others, that one warning each is logged about; of more, how many they are."""


class Lister:
    """Reads the tools of a server, in one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._told: dict[bool, set[str]] = {True: set(), False: set()}
        self._untold: dict[bool, list[str]] = {True: [], False: []}
        self._said_of_untold: list[str] = []

    def read(
        self, server: Connection, known: Sequence[ServerTool], end: float
    ) -> tuple[Sequence[ServerTool], float | None]:
        """The tools in the order of their names, and the seconds for which they are fresh; None: until the server says
        that they have changed. known: those read before, kept where they are still the same, and returned when all are.
        end: the `time.monotonic()` at which no more is waited for.

        Raises Gone, Slow, MCPError, and ConfigurationError for a server that can't be started.
        """
        self._untold = {True: [], False: []}
        server.start(end)
        listed = server.client.list_all("tools/list", "tools", server.patience(end=end))
        entries = dict(self._usable(listed.items))
        names = shown_names(entries)
        made = [self._tool(server, *each, names[name]) for name, each in entries.items()]
        made += resource_tool(server, {*names.values()}, end)
        kept = {_key(each): each for each in known}
        made = sorted((kept.get(_key(each), each) for each in made), key=lambda each: each.name)
        if not made:
            self._tell("", "it has no tools")
        self._tell_of_untold()
        is_same = len(made) == len(known) > 0 and all(one is other for one, other in zip(made, known, strict=True))
        return known if is_same else made, listed.ttl

    def _tool(self, server: Connection, entry: Entry, parameters: dict[str, Any], name: str) -> ServerTool:
        read_only = self._settings.is_trusted and says_read_only(entry)
        call = ServerCall(server, entry, name)
        return ServerTool(name, description_of(entry), parameters, call, context=CONTEXT, read_only=read_only)

    def _usable(self, entries: Sequence[Entry]) -> Iterator[tuple[str, tuple[Entry, dict[str, Any]]]]:
        """The entries that can become tools by their names, with their schemas."""
        seen: set[str] = set()
        for entry in entries:
            name = entry.get("name")
            if not isinstance(name, str) or not name or name in seen:
                self._tell(
                    name if isinstance(name, str) else shown(name, MAX_NAME),
                    "it has no name of its own",
                    is_left_out=True,
                )
                continue
            seen.add(name)
            try:
                self._check(entry)
                parameters, changes = usable(entry.get("inputSchema"))
            except UnusableSchemaError as error:
                self._tell(name, str(error), is_left_out=True)
                continue
            if changes:
                self._tell(name, f"its inputSchema was changed where it is none: {'; '.join(changes)}")
            yield name, (entry, parameters)

    def _check(self, entry: Entry) -> None:
        wrong = problem(entry) if self._settings.is_url else ""
        if wrong:
            raise UnusableSchemaError(wrong)
        execution = entry.get("execution")
        if isinstance(execution, Mapping) and execution.get("taskSupport") == "required":
            raise UnusableSchemaError("it runs as a task only, which is not supported")

    def _tell(self, tool: str, what: str, is_left_out: bool = False) -> None:
        """Warn of a tool, once."""
        told = self._told[is_left_out]
        if (tool + what) in told:
            return
        if len(told) >= MAX_TOLD:
            self._untold[is_left_out].append(in_a_line(tool, 80))
            return
        told.add(tool + what)
        of = f": tool {in_a_line(tool, 80)!r}{' is left out' if is_left_out else ''}" if tool else ""
        logger.warning("MCP server %s%s: %s", self._settings.label, of, in_a_line(what, 500))

    def _tell_of_untold(self) -> None:
        """Warn of the tools for which there was no warning of their own, once as long as they are the same."""
        said = [
            f"{len(tools)} more tools {what}: {', '.join(tools[:MAX_TOLD])}{', ...' if len(tools) > MAX_TOLD else ''}"
            for what, tools in (("are left out", self._untold[True]), ("were changed", self._untold[False]))
            if tools
        ]
        if said and said != self._said_of_untold:
            logger.warning("MCP server %s: %s", self._settings.label, "; ".join(said))
        self._said_of_untold = said


def _key(tool: ServerTool) -> str:
    """What makes two tools the same."""
    entry = tool.function.entry if isinstance(tool.function, ServerCall) else tool.description
    try:
        return json.dumps([tool.name, entry], sort_keys=True)
    except RecursionError:
        return f"{tool.name} {id(tool)}"
