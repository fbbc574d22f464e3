"""The tools of an MCP server for an agent: `MCP`, and what is chosen of them."""

import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Unpack

from agentkit._closing import Closable
from agentkit._text import cut
from agentkit.errors import ConfigurationError
from agentkit.mcp.connection import Connection
from agentkit.mcp.questions import Ask
from agentkit.mcp.resources import read_resource, resources_of
from agentkit.mcp.selections import Only, Prefixed, Replaced, Selection, Without
from agentkit.mcp.server_tool import ServerTool
from agentkit.mcp.settings import STORED, Settings
from agentkit.mcp.tool_list import ToolList
from agentkit.tooling.options import ToolArguments
from agentkit.tooling.toolset import Toolset

MAX_INSTRUCTIONS = 8_000


class ServerTools(Toolset, Closable):
    """Tools of one MCP server. All that is chosen of them shares its connection.

    Iterating, `in` and calling a tool raise what `agentkit.mcp.MCP.server` raises; as an agent's tools they are left
    out with a warning where the server can't be used.
    """

    @property
    @abstractmethod
    def connection(self) -> Connection:
        """The connection to the server."""

    @abstractmethod
    def tools(self) -> Sequence[ServerTool]:
        """The tools that there are now, in the order of their names. None where the server can't be used."""

    @abstractmethod
    def tools_or_error(self) -> Sequence[ServerTool]:
        """The tools that there are now. Raises Gone, Slow, MCPError and ConfigurationError where the server can't be
        used, and ConfigurationError for a name that was chosen and that it does not have."""

    @property
    def label(self) -> str:  # type: ignore[override]
        """The name of the server."""
        return self.connection.settings.label

    def only(self, *names: str) -> "ServerTools":
        """The tools of these names alone; `*` stands for anything: `files.only("read_*", "list_directory")`.

        Raises ConfigurationError for a name that is given twice; one that the server does not have is an error where
        the tools are first used.
        """
        if not names:
            raise ConfigurationError("only(): name the tools, such as only('read_*')")
        return _Chosen(self, Only(names))

    def without(self, *names: str) -> "ServerTools":
        """The tools but for those of these names. Raises ConfigurationError as `only` does."""
        return _Chosen(self, Without(names))

    def prefixed(self, prefix: str) -> "ServerTools":
        """The tools with a prefix before their names: `files.prefixed("fs_")`. Raises ConfigurationError for one that
        is none."""
        return _Chosen(self, Prefixed(prefix))

    def replace(self, *names: str, **options: Unpack[ToolArguments]) -> "ServerTools":
        """The tools with other options: `files.replace("write_*", approve=True, timeout=120)`. names: of those that get
        them, else all do.

        Raises TypeError for an option that tools don't have, ConfigurationError as `only` does, and ToolDefinitionError
        where the tools are first used for options that don't fit.
        """
        return _Chosen(self, Replaced(names, dict(options)))

    def __getitem__(self, name: str) -> "ServerTools":
        """One tool. It can be called too: `files["read_text_file"](path="a.txt")`."""
        return _Chosen(self, Only((name,), "[]"))

    def __iter__(self) -> Iterator[ServerTool]:
        return iter(self.tools_or_error())

    def __contains__(self, name: object) -> bool:
        return any(each.name == name for each in self.tools_or_error())

    def __call__(self, **arguments: Any) -> Any:
        """Call the tool that was chosen, outside of a run. Returns a text, a JSON value, or a list of texts and Images.

        Raises ToolError with what the tool says of an error, Gone, Slow, MCPError, and ConfigurationError where more
        than one tool was chosen.
        """
        tools = self.tools_or_error()
        if len(tools) != 1:
            raise ConfigurationError(f"there are {len(tools)} tools: choose the one to call, {self.label}['name'](...)")
        return tools[0](**arguments)

    def resources(self) -> list[dict[str, Any]]:
        """The resources of the server as it describes them: "uri", "name", "mimeType", ... Raises Gone, Slow and
        MCPError."""
        return resources_of(self.connection)

    def read(self, uri: str) -> Any:
        """The contents of a resource: a text, or a list of texts and Images. Raises Gone, Slow and MCPError."""
        return read_resource(self.connection, uri)

    def instructions(self) -> str:
        """What the server tells models of its tools together, "" for nothing; at most MAX_INSTRUCTIONS characters. For
        `Agent(instructions=...)`, of a server that is trusted. Raises Gone, Slow and MCPError."""
        return cut(self.connection.described().instructions.strip(), MAX_INSTRUCTIONS)

    def close(self) -> None:
        """End the connection to the server, and its process; the next use opens it again."""
        self.connection.close()


class MCP(ServerTools):
    """The tools of a server that speaks the Model Context Protocol.

        files = MCP("npx -y @modelcontextprotocol/server-filesystem /data")
        agent = Agent("openai:gpt-5-mini", tools=[files])

    server: a command line, its words in a list, or the address of a server over HTTP. The command is run without a
    shell; the server is started when it is first needed, and again when it has ended. name: a word for it, which begins
    the name of a tool that would have the name of another one. timeout: seconds without a sign of life after which a
    call ends. env: variables of the server's process, in addition to those that each program needs; cwd: its folder.
    headers, auth: of an HTTP server; `auth` is any of requests' (`requests.auth.AuthBase`), by default the login that
    is stored for the address (`agentkit mcp login URL`), None for none. trust_hints: an HTTP server is believed that a
    tool changes nothing (`readOnlyHint`), as a command is; all other tools have effects. ask: gets an answer to what
    the server asks a person in the middle of a call (`agentkit.mcp.Question`); without it the run pauses as for an
    approval (see `Context.ask`). strict: a run raises what goes wrong with the server's start; else it goes on without
    its tools, a warning is logged, and the next run tries again. sse: the server is asked in the way of HTTP with SSE
    (2024-11-05) first, as one is whose address ends in /sse; others are found out. handshake: the connection begins
    with "initialize" (up to 2025-11-25), for a server that speaks 2026-07-28 too and whose tools ask a person in the
    middle of a call, which that version does not have (`ctx.elicit` of FastMCP).

    Shared by agents and threads. Pickled and copied as its arguments.

    Raises ConfigurationError for arguments that can't work.
    """

    def __init__(
        self,
        server: str | Sequence[str],
        name: str | None = None,
        timeout: float = 30.0,
        *,
        env: Mapping[str, str] | None = None,
        cwd: "str | os.PathLike[str] | None" = None,
        headers: Mapping[str, str] | None = None,
        auth: Any = STORED,
        trust_hints: bool = False,
        ask: Ask | None = None,
        strict: bool = False,
        sse: bool = False,
        handshake: bool = False,
    ) -> None:
        settings = Settings(server, name, timeout, env, cwd, headers, auth, trust_hints, ask, strict, sse, handshake)
        self._set(Connection(settings))

    def _set(self, connection: Connection) -> None:
        self._list = ToolList(connection)

    @classmethod
    def _of(cls, connection: Connection) -> "MCP":
        made = cls.__new__(cls)
        made._set(connection)
        return made

    def __reduce__(self) -> Any:
        return self._of, (self.connection,)

    def __repr__(self) -> str:
        return f"MCP({self.label}: {self.connection.settings})"

    @property
    def connection(self) -> Connection:
        """See `ServerTools.connection`."""
        return self._list.connection

    def begin(self) -> None:
        """Begin to start the server and to read its tools, without waiting."""
        self._list.begin()

    def tools(self) -> Sequence[ServerTool]:
        """The tools that there are now, in the order of their names. None where the server can't be used (see
        `strict`)."""
        return self._list.now()

    def tools_or_error(self) -> Sequence[ServerTool]:
        """See `ServerTools.tools_or_error`."""
        return self._list.now_or_error()


class _Chosen(ServerTools):
    """What a selection makes of the tools of another one."""

    def __init__(self, source: ServerTools, selection: Selection) -> None:
        self._source = source
        self._selection = selection
        self._last: _Made = ((), {}, ())

    def __reduce__(self) -> Any:
        return _Chosen, (self._source, self._selection)

    def __repr__(self) -> str:
        what = getattr(self._selection, "prefix", None)
        names = self._selection.names if what is None else (what,)
        return f"{self._source!r}.{self._selection.how}({', '.join(map(repr, names))})"

    @property
    def connection(self) -> Connection:
        return self._source.connection

    def begin(self) -> None:
        self._source.begin()

    def tools(self) -> Sequence[ServerTool]:
        return self._of(self._source.tools())

    def tools_or_error(self) -> Sequence[ServerTool]:
        return self._of(self._source.tools_or_error())

    def _of(self, given: Sequence[ServerTool]) -> Sequence[ServerTool]:
        """What becomes of these tools; the same objects of the same."""
        last, known, listed = self._last
        if last is given or not given:
            return listed if given else ()
        if not last:  # later a tool may have gone
            self._selection.check_tools(given, self.label)
        made = {each: known[each] if each in known else self._selection.of(each) for each in given}
        now = [each for each in made.values() if each is not None]
        if len(now) != len(listed) or any(one is not other for one, other in zip(now, listed, strict=True)):
            listed = now
        self._last = (given, made, listed)
        return listed


def chosen(tools: ServerTools, selection: Selection) -> ServerTools:
    """What a selection makes of tools."""
    return _Chosen(tools, selection)


_Made = tuple[Sequence[ServerTool], Mapping[ServerTool, ServerTool | None], Sequence[ServerTool]]
"""A list of tools, what became of each, and what became of all."""
