"""The client's own tools: their calls are answered by the client, and never run here."""

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agentkit.errors import ArgumentsError, ToolDefinitionError
from agentkit.serving.http.openai.errors import RefusedRequestError
from agentkit.serving.http.openai.tool_forms import MODES, as_function
from agentkit.text.call_format import CUT_OFF
from agentkit.toolbox import Toolbox
from agentkit.tooling.arguments import ERROR, UNREADABLE, parse
from agentkit.tooling.earlier_result import EARLIER_RESULT
from agentkit.tooling.json_repair import loads
from agentkit.tooling.outcome import Outcome, failure
from agentkit.tooling.schema_dialects import Dialect
from agentkit.tools import Context, Tool

MAX_TOOLS = 512
MAX_KNOWN = 8_000
"""Characters of a tool, or of the form of an answer, that is kept for the next request."""
_NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}


class ClientTool(Tool[..., str]):
    """A tool of the client, with the schema as the client wrote it. A call of it waits for the client, as others wait
    for a person's approval; one whose arguments can't be read is answered here, so that the model corrects it.

    entry: of the client's `tools`. Raises ToolDefinitionError for a name that servers refuse.
    """

    is_external = True

    def __init__(self, entry: Mapping[str, Any]) -> None:
        function = entry["function"]
        name = function.get("name")
        parameters = function.get("parameters") or _NO_PARAMETERS
        given = {key: value for key, value in function.items() if value is not None}
        made = {**given, "description": function.get("description") or "", "parameters": parameters}
        self._entry = {**entry, "type": "function", "function": made}
        self._set(name, str(name), dict(parameters), _run_by_the_client, None, {"approve": True})
        self._set_isolation()

    @property
    def schema(self) -> dict[str, Any]:
        """See `Tool.schema`."""
        return dict(self._entry)

    def needs_approval(self, arguments: str) -> bool:
        """Whether the call ends the answer: its arguments can be read, so that it goes to the client; or the limit on
        the reply's length, which is the client's, has cut it off."""
        try:
            parse(arguments)
        except ArgumentsError:
            return cut_off_text(arguments) is not None
        return True

    def answer(self, arguments: str, context: Context) -> Outcome:
        """What the model is told of a call whose arguments can't be read."""
        try:
            parse(arguments)
        except ArgumentsError as error:
            return failure(f"the arguments of {self.name} don't fit: {error}. Correct them and call it again.")
        return failure(f"{self.name} is run by the client, and was not run.")


def _run_by_the_client() -> str:
    raise AssertionError("a tool of the client is never run here")


def cut_off_text(arguments: str) -> str | None:
    """What has arrived of the arguments of a call that the limit on the reply's length has cut off; None for others.
    arguments: JSON text, as it stands in a transcript."""
    if CUT_OFF not in arguments:
        return None
    value = loads(arguments, strict=True)
    return str(value[UNREADABLE]) if value.keys() == {UNREADABLE, ERROR} and value[ERROR] == CUT_OFF else None


def client_tools(given: Any, taken: Iterable[str]) -> tuple[ClientTool, ...]:
    """The tools of a request. given: its field `tools`. taken: names of other tools that the model is offered.

    Raises RefusedRequestError that names the entry.
    """
    if not given:
        return ()
    if not isinstance(given, list) or len(given) > MAX_TOOLS:
        raise _refused("tools", f"must be a list of at most {MAX_TOOLS} tools")
    found: dict[str, ClientTool] = {}
    own = {*taken, EARLIER_RESULT}
    for place, entry in enumerate(given):
        made = _client_tool(entry, f"tools[{place}]")
        if made.name in own:
            text = f"{made.name!r} is the name of a tool of this service: give the client's tool another name"
            raise RefusedRequestError(400, f"tools: {text}", "tools", "duplicate_tool_name")
        if made.name in found:
            text = f"tools: two tools are named {made.name!r}"
            raise RefusedRequestError(400, text, "tools", "duplicate_tool_name")
        found[made.name] = made
    return tuple(found.values())


def _client_tool(given: Any, path: str) -> ClientTool:
    entry = as_function(given)
    kind = entry.get("type", "function") if isinstance(entry, Mapping) else None
    if kind != "function":
        what = f"{kind!r:.40} is not supported" if isinstance(kind, str) else "must be an object with a type"
        raise _refused(f"{path}.type", f"{what}: only tools of type 'function' are", "unsupported_value")
    function = entry.get("function")
    if not isinstance(function, Mapping):
        raise _refused(f"{path}.function", "must be an object with a name")
    if not isinstance(function.get("parameters") or {}, Mapping):
        raise _refused(f"{path}.function.parameters", "must be the JSON schema of an object")
    if not isinstance(function.get("description") or "", str):
        raise _refused(f"{path}.function.description", "must be a text")
    try:
        written = json.dumps(entry)
        return _known_tool(written) if len(written) <= MAX_KNOWN else _checked_tool(written)
    except ToolDefinitionError as error:
        raise _refused(f"{path}.function.name", str(error)) from None
    except (RecursionError, ValueError, TypeError, KeyError, AttributeError):
        text = "is no JSON schema that can be sent to a model"
        raise _refused(f"{path}.function.parameters", text, "invalid_function_parameters") from None


def _checked_tool(written: str) -> ClientTool:
    """The tool of a JSON text, whose schema can be sent."""
    made = ClientTool(json.loads(written))
    Toolbox([made]).encoded_for(Dialect.SELF_HOSTED)
    return made


_known_tool = functools.lru_cache(256)(_checked_tool)  # a client sends the same tools with each request


@dataclass(frozen=True)
class ToolChoice:
    """What a request's `tool_choice` asks for. value: what the model server is sent, None for nothing. allowed: the
    names of the tools that are offered; None: all."""

    value: Any = None
    allowed: frozenset[str] | None = None


def tool_choice(given: Any, names: Iterable[str], client_names: Iterable[str]) -> ToolChoice:
    """The choice of a request, in any form. names: of all tools. client_names: of those of the client.

    Raises RefusedRequestError for a choice that can't be met.
    """
    known = set(names)
    if given is None:
        return ToolChoice()
    kind = given.get("type") if isinstance(given, Mapping) else given
    if kind == "none":
        return ToolChoice("none", frozenset())
    if kind == "allowed_tools":
        return _allowed(given, known)
    if isinstance(given, str) or (isinstance(kind, str) and kind in MODES):
        return ToolChoice(_mode(kind, known, "tool_choice"))
    name = _name_in(given)
    if kind not in ("function", "custom", "tool") or not isinstance(name, str):
        raise _refused("tool_choice", 'must be "none", "auto", "required", a function, or allowed_tools')
    if name not in known:
        raise _refused("tool_choice", f"there is no tool named {name!r:.80} in this request")
    if name in set(client_names):  # it suffices, since the answer ends with its call; llama.cpp knows no named choice
        return ToolChoice("required", frozenset({name}))
    return ToolChoice({"type": "function", "function": {"name": name}})


def _allowed(given: Mapping[str, Any], known: set[str]) -> ToolChoice:
    nested = given.get("allowed_tools")
    inner = nested if isinstance(nested, Mapping) else given
    listed = inner.get("tools")
    allowed = {_name_in(each) for each in listed} if isinstance(listed, list) else set()
    for name in allowed:
        if name not in known:
            raise _refused("tool_choice", f"allowed_tools names a tool that is not in this request: {name!r:.80}")
    if not allowed:
        raise _refused("tool_choice", "allowed_tools must list at least one tool")
    return ToolChoice(_mode(inner.get("mode", "auto"), known, "tool_choice"), frozenset(map(str, allowed)))


def _mode(mode: Any, known: set[str], param: str) -> str:
    if not isinstance(mode, str) or mode not in MODES:
        raise _refused(param, f'{mode!r:.40} is not a choice: use "none", "auto" or "required"')
    if MODES[mode] == "required" and not known:
        raise _refused(param, "a tool is required, and there are none")
    return MODES[mode]


def _name_in(given: Any) -> Any:
    if not isinstance(given, Mapping):
        return None
    inner = given.get("function") or given.get("custom")
    name = inner.get("name") if isinstance(inner, Mapping) else given.get("name")
    return name if isinstance(name, str) else None


def _refused(param: str, text: str, code: str | None = "invalid_value") -> RefusedRequestError:
    return RefusedRequestError(400, f"{param}: {text}", param, code)
