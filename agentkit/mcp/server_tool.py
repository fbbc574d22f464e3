"""A tool of an MCP server as a tool of an agent."""

import dataclasses
import functools
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from agentkit.mcp.connection import Connection
from agentkit.mcp.content import value_of
from agentkit.mcp.schemas import checked_here
from agentkit.tooling.argument_readers import ArgumentsParser, schema_reader
from agentkit.tooling.definition import NAME
from agentkit.tooling.options import ToolArguments
from agentkit.tooling.schema_dialects import MAX_DESCRIPTION
from agentkit.tools import Context, Tool

if TYPE_CHECKING:
    from typing import Self

CONTEXT = " context"
"""The name under which a call is given the run's Context: no argument has it."""
MAX_NAME = 64
MAX_SHOWN_DESCRIPTION = 8_000
"""Maximum characters of a tool's description."""

Entry = Mapping[str, Any]
"""A tool as its server describes it."""


@dataclasses.dataclass(frozen=True)
class ServerCall:
    """Calls a tool of a server. shown: the tool's name for the model. read_only, timeout: those of the tool."""

    server: Connection
    entry: Entry
    shown: str
    read_only: bool = False
    timeout: float | None = None

    def __call__(self, /, **arguments: Any) -> Any:
        """What the tool returns: a text, a JSON value, or a list of texts and images. Raises Gone, Slow and MCPError,
        and ToolError with what the tool says of an error."""
        context: Context | None = arguments.pop(CONTEXT, None)
        given = _without_null_defaults(self.entry.get("inputSchema"), arguments)
        result = self.server.call(self.entry, given, context, self.read_only, self.timeout)
        return value_of(result, self.shown)


def _without_null_defaults(schema: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments but for null where that is the default: models write it for what they leave out, and some servers
    take it for a value."""
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    required = schema.get("required") if isinstance(schema, Mapping) else None
    needed = required if isinstance(required, list) else []

    def is_default(name: str) -> bool:
        found = properties.get(name) if isinstance(properties, Mapping) else None
        return isinstance(found, Mapping) and found.get("default", 0) is None and name not in needed

    return {name: value for name, value in arguments.items() if value is not None or not is_default(name)}


class ServerTool(Tool[..., Any]):
    """A tool whose schema is known to be usable, and whose arguments its server checks too. What reads them is made at
    the first call: that takes longer than all else, and few of many tools are called."""

    def __init__(
        self,
        name: str,
        description: str,
        parameters: Mapping[str, Any],
        function: Any,
        *,
        context: str | None = None,
        **options: Unpack[ToolArguments],
    ) -> None:
        self._set(name, description[:MAX_DESCRIPTION], dict(parameters), function, context, options)
        self.description = description
        self._set_isolation()
        self._reader = functools.partial(_Reader, self.parameters)
        self._read: ArgumentsParser = self._reader(name, not self.options.read_only)
        self._tell_call()

    def _tell_call(self) -> None:
        """Tell the function, which sends the calls, what it has to know of the options."""
        if isinstance(self.function, ServerCall):
            own = self.options
            self.function = dataclasses.replace(self.function, read_only=own.read_only, timeout=own.timeout)

    def replace(
        self, *, name: str | None = None, description: str | None = None, **options: Unpack[ToolArguments]
    ) -> "Self":
        """See `Tool.replace`."""
        made = super().replace(name=name, description=description, **options)
        made._tell_call()
        return made


class _Reader:
    """Reads the arguments of a tool's calls."""

    def __init__(self, parameters: Mapping[str, Any], tool: str, has_effect: bool) -> None:
        self._of = (dict(parameters), tool, has_effect)
        self._made: ArgumentsParser | None = None

    def __call__(self, arguments: str) -> tuple[dict[str, Any], list[str]]:
        made = self._made
        if made is None:
            parameters, tool, has_effect = self._of
            made = self._made = schema_reader(checked_here(parameters), tool, has_effect, is_valid=True)
        return made(arguments)


def description_of(entry: Entry) -> str:
    """The description of a tool; its title or its name where there is none. A very long one is cut."""
    hints = entry.get("annotations")
    titles = (entry.get("title"), hints.get("title") if isinstance(hints, Mapping) else None, entry["name"])
    found = (each.strip() for each in (entry.get("description"), *titles) if isinstance(each, str))
    return _cut_at_an_end(next((each for each in found if each), "a tool"), MAX_SHOWN_DESCRIPTION)


def says_read_only(entry: Entry) -> bool:
    """Whether the server says that a tool changes nothing."""
    hints = entry.get("annotations")
    return isinstance(hints, Mapping) and hints.get("readOnlyHint") is True


def _cut_at_an_end(text: str, most: int) -> str:
    """The beginning of a text, up to the end of a paragraph, a sentence or a word."""
    if len(text) <= most:
        return text
    start = text[: most - 1]
    ends = (start.rfind(end, most // 2) for end in ("\n\n", ". ", "\n", " "))
    return start[: next((end + 1 for end in ends if end > 0), most)].rstrip() + "…"


def shown_names(names: Iterable[str]) -> dict[str, str]:
    """The names of a server's tools as models are given them, by their own: letters, digits, "_" and "-", at most 64,
    no two the same. The same for the same names in any order."""
    given = sorted(set(names))
    made = {name: name for name in given if NAME.fullmatch(name)}
    taken = set(made)
    for name in given:
        if name not in made:
            made[name] = unused(_plain(name), taken, name)
            taken.add(made[name])
    return made


def prefixed_name(prefix: str, name: str) -> str:
    """A name behind a prefix, shortened where it gets too long."""
    return _within_limit(f"{prefix}{name}")


def unused(shown: str, taken: Collection[str], name: str) -> str:
    """A name for the tool `name` that is not taken: this one, or one made of it."""
    made, count = shown, 0
    while made in taken:
        made = _marked(shown, f"{name}{count or ''}")
        count += 1
    return made


def _plain(name: str) -> str:
    """A name of the characters that models accept."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")
    short = plain if name.isascii() and plain else _marked(plain or "tool", name)
    return _within_limit(short)


def _within_limit(name: str) -> str:
    return name if len(name) <= MAX_NAME else _marked(name, name)


def _marked(name: str, of: str) -> str:
    """A name that ends in a digest of the one that it stands for."""
    digest = hashlib.sha256(of.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name[: MAX_NAME - 9].rstrip('_')}_{digest}"
