"""The tools of a Responses request as functions of a chat, and their calls in the form of this API again.

A custom tool, whose input is a text, is offered as a function with that text as its only argument; a tool in a
namespace, such as those of the MCP servers of a client, by a name that has both; a search for tools that the client
does itself as a function too. Items of the input may bring further tools. What OpenAI runs itself, or has trained its
models for, is not offered.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentkit.serving.http.openai.errors import RefusedRequestError
from agentkit.tooling.arguments import read_arguments

BUILT_IN = frozenset(
    (
        *("web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"),
        *("file_search", "code_interpreter", "image_generation", "mcp", "tool_search", "programmatic_tool_calling"),
        *("computer", "computer_use", "computer_use_preview", "local_shell", "shell", "apply_patch"),
    )
)
"""Types of the tools that OpenAI has of its own. Agents such as Codex list them in each request beside their own
functions, and do without."""

MAX_NAME = 64
"""Characters of a function's name that servers take."""

_INPUT = "input"
_ENTRY = re.compile(r"tools\[([0-9]{1,6})\]")
_KNOWN = ("function", "custom", "namespace")
_LOADING = ("additional_tools", "tool_search_output")

TOOL_SEARCH = "tool_search"
"""A tool that looks for further tools, and the name of its function. Clients such as Codex do the search themselves
(`"execution": "client"`)."""


@dataclass(frozen=True)
class Form:
    """How the client writes a tool whose function has another name or form."""

    name: str
    namespace: str | None = None
    is_custom: bool = False
    is_search: bool = False

    def written(self, arguments: str) -> dict[str, Any]:
        """The fields of a call. arguments: of its function."""
        if self.is_search:
            return {"execution": "client", "arguments": read_arguments(arguments) or {}}
        place = {} if self.namespace is None else {"namespace": self.namespace}
        said = {_INPUT: custom_input(arguments)} if self.is_custom else {"arguments": arguments}
        return {"name": self.name, **place, **said}


@dataclass
class Offered:
    """The tools of a request. functions: as those of a chat completion. paths: where the client has them. forms: of
    those that the client writes otherwise, by the names of their functions. told: the tools as the client wrote them.
    left_out: the types of the others, each with the path of the first.
    """

    functions: list[Any] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    forms: dict[str, Form] = field(default_factory=dict)
    told: list[Mapping[str, Any]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    def param(self, param: str) -> str:
        """The field of the request that a field of the chat completion is made of. param: its path."""
        found = _ENTRY.match(param)
        place = int(found[1]) if found is not None else len(self.paths)
        if found is None or place >= len(self.paths):
            return param
        return self.paths[place] + param[found.end() :].replace(".function", "", 1)

    def add(self, entry: Any, path: str, is_again: bool = False) -> None:
        """Take a tool of the client. path: where it stands. is_again: whether it may be there already. Raises
        RefusedRequestError."""
        kind = entry.get("type") if isinstance(entry, Mapping) else None
        if isinstance(kind, str) and kind in BUILT_IN and not _is_own_search(entry):
            self.left_out.setdefault(kind, path)
            return
        forms: dict[str, Form] = {}
        for where, function in _functions(entry, path, forms):
            name = _name_of(function)
            if is_again and name in self._names:
                continue
            if name is not None:
                self._names.add(name)
            if name in forms:
                self.forms[name] = forms[name]
            self.functions.append(function)
            self.paths.append(where)
        if not is_again:
            self.told.append(entry)


def chat_choice(given: Any) -> Any:
    """A choice of tools as a chat completion has it."""
    if not isinstance(given, Mapping):
        return given
    if given.get("type") == "allowed_tools" and isinstance(given.get("tools"), list):
        return {**given, "tools": list(map(_chosen, given["tools"]))}
    return _chosen(given)


def _chosen(given: Any) -> Any:
    is_named = isinstance(given, Mapping) and isinstance(given.get("name"), str)
    if not is_named or given.get("type") not in _KNOWN[:2]:
        return given
    return {"type": "function", "name": function_name(given["name"], given.get("namespace"))}


def offered_tools(given: Any, items: Sequence[Mapping[str, Any]] = ()) -> Offered:
    """The tools of a request. given: its field `tools`. items: its input, which may bring more. Raises
    RefusedRequestError that names the entry; of what is wrong with a function more is found where it is one of a chat
    completion."""
    offered = Offered()
    if not isinstance(given, list | None):
        offered.functions = given
        return offered
    for place, entry in enumerate(given or ()):
        offered.add(entry, f"tools[{place}]")
    for path, entry in loaded_tools(items):
        offered.add(entry, path, is_again=True)
    if offered.left_out and not offered.functions:
        kind, path = next(iter(offered.left_out.items()))
        text = f"{kind!r} is OpenAI's own: this service does not have it, and the request has no other"
        raise _refused(f"{path}.type", text, "unsupported_value")
    return offered


def loaded_tools(items: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The tools that items of the input bring, each with its path: what a client's search has found, and what it adds
    in the middle of a conversation. Raises RefusedRequestError."""
    for number, item in enumerate(items):
        if item.get("type") not in _LOADING:
            continue
        path = f"input[{number}].tools"
        if not isinstance(item.get("tools"), list):
            raise _refused(path, "must be a list of tools")
        yield from ((f"{path}[{place}]", entry) for place, entry in enumerate(item["tools"]))


def names_of_loaded(item: Mapping[str, Any], path: str) -> list[str]:
    """The names of the functions of the tools that an item brings. path: of the item. Raises RefusedRequestError."""
    loaded = Offered()
    for place, entry in enumerate(item.get("tools") or ()):
        loaded.add(entry, f"{path}.tools[{place}]", is_again=True)
    return [name for name in map(_name_of, loaded.functions) if name is not None]


def _is_own_search(entry: Mapping[str, Any]) -> bool:
    return entry.get("type") == TOOL_SEARCH and entry.get("execution") == "client"


def _name_of(function: Any) -> str | None:
    inner = function.get("function", function) if isinstance(function, Mapping) else None
    name = inner.get("name") if isinstance(inner, Mapping) else None
    return name if isinstance(name, str) else None


def _functions(entry: Any, path: str, forms: dict[str, Form]) -> Iterator[tuple[str, Any]]:
    """The functions of a tool, each with its path."""
    if isinstance(entry, Mapping) and _is_own_search(entry):
        forms[TOOL_SEARCH] = Form(TOOL_SEARCH, is_search=True)
        fields = {key: entry[key] for key in ("description", "parameters") if entry.get(key) is not None}
        yield path, {"type": "function", "function": {"name": TOOL_SEARCH, **fields}}
        return
    if not isinstance(entry, Mapping) or entry.get("type") not in _KNOWN:
        yield path, entry  # refused as a tool of a chat completion
        return
    if not isinstance(entry.get("name"), str):
        raise _refused(f"{path}.name", "is missing: in the Responses API the fields of a tool stand beside its type")
    if entry["type"] != "namespace":
        yield path, _function(entry, None, forms)
        return
    if not isinstance(entry.get("tools"), list):
        raise _refused(f"{path}.tools", "must be a list of tools")
    for place, tool in enumerate(entry["tools"]):
        where = f"{path}.tools[{place}]"
        if not isinstance(tool, Mapping) or tool.get("type") not in _KNOWN[:2]:
            raise _refused(f"{where}.type", "must be 'function' or 'custom'")
        if not isinstance(tool.get("name"), str):
            raise _refused(f"{where}.name", "must be a text")
        yield where, _function(tool, entry["name"], forms)


def _function(entry: Mapping[str, Any], namespace: str | None, forms: dict[str, Form]) -> dict[str, Any]:
    is_custom = entry["type"] == "custom"
    name = function_name(entry["name"], namespace)
    if is_custom or namespace is not None:
        forms[name] = Form(entry["name"], namespace, is_custom)
    if is_custom:
        return {"type": "function", "function": custom_function(entry, name)}
    fields = {k: v for k, v in entry.items() if k not in ("type", "defer_loading") and v is not None}
    return {"type": "function", "function": {**fields, "name": name}}


def custom_function(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The function of a custom tool. A grammar is told to the model, and not enforced. entry: the tool's fields."""
    about, described = "The input of the tool, as a plain text.", entry.get("description") or ""
    grammar = entry.get("format")
    if isinstance(grammar, Mapping) and isinstance(grammar.get("grammar"), Mapping):  # as chat completions have it
        grammar = grammar["grammar"]
    if isinstance(grammar, Mapping) and isinstance(grammar.get("definition"), str):
        about += f" It has this grammar ({grammar.get('syntax')}):\n{grammar['definition']}"
    properties = {_INPUT: {"type": "string", "description": about}}
    parameters = {"type": "object", "properties": properties, "required": [_INPUT], "additionalProperties": False}
    return {"name": name, "description": described, "parameters": parameters}


def function_name(name: str, namespace: Any) -> str:
    """The name of the function of a tool. namespace: None for a tool in none."""
    if not isinstance(namespace, str):
        return name
    joined = f"{namespace.rstrip('_')}__{name}"
    digest = hashlib.sha256(joined.encode("utf-8", "replace")).hexdigest()[:8]
    return joined if len(joined) <= MAX_NAME else f"{joined[: MAX_NAME - 9]}_{digest}"


def custom_arguments(given: str) -> str:
    """The arguments of the function of a custom tool. given: its input."""
    return json.dumps({_INPUT: given}, ensure_ascii=False)


def custom_input(arguments: str) -> str:
    """The input of a custom tool; models also give the text another name. arguments: of its function."""
    read = read_arguments(arguments)
    values = list(read.values()) if isinstance(read, Mapping) else []
    value = read[_INPUT] if _INPUT in (read or ()) else values[0] if len(values) == 1 else None
    return value if isinstance(value, str) else arguments


def _refused(param: str, text: str, code: str | None = "invalid_value") -> RefusedRequestError:
    return RefusedRequestError(400, f"{param}: {text}", param, code)
