"""The configuration files of other programs, in the form of an mcp.json: Codex (TOML), opencode, Zed, Copilot CLI."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

PLACES = (
    ("mcpServers",),
    ("servers",),
    ("mcp", "servers"),
    ("mcp", "mcpServers"),
    ("context_servers",),
    ("mcp_servers",),
)
"""Where the servers stand: in the files of Claude Desktop and Cursor, of VS Code, in its settings, of Zed, of Codex."""
FOLDERS = (".vscode", ".cursor", ".kiro", ".roo", ".gemini", ".qwen", ".claude", ".codex", ".opencode", ".zed")
"""Folders of programs within the folder that their files are about."""
BARE = (".gemini", ".qwen")
"""Folders of the programs that write variables as $NAME, too."""

_OPENCODE_VARIABLE = re.compile(r"(?<!\$)\{(env|file):([^{}]{1,500})\}")
_RENAMED: tuple[tuple[str, str, type], ...] = (
    ("environment", "env", dict),
    ("http_headers", "headers", dict),
    ("enabled_tools", "includeTools", list),
    ("tools", "includeTools", list),
    ("disabled_tools", "disabledTools", list),
)
"""Keys of other programs, what they are called in an mcp.json, and their type."""


def servers_in(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield where servers stand in a file, and what stands there; the first counts."""
    for place in PLACES:
        found: Any = config
        for key in place:
            found = found.get(key) if isinstance(found, Mapping) else None
        if found is not None:
            yield ".".join(place), found
    opencode = config.get("mcp")
    if isinstance(opencode, Mapping) and _are_servers(opencode, lambda each: each.get("type") in ("local", "remote")):
        yield "mcp", {name: _with_variables(each) for name, each in opencode.items()}
    if _are_servers(config, lambda each: isinstance(each.get("command"), str | list) or "url" in each):
        yield "", config


def in_common_form(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """A server of a file with the keys of an mcp.json."""
    made = dict(given)
    command = made.get("command")
    if isinstance(command, Mapping) and "path" in command:  # Zed's first form
        made |= {"command": command["path"], **{key: command[key] for key in ("args", "env") if key in command}}
    for theirs, ours, kind in _RENAMED:
        if isinstance(made.get(theirs), kind) and ours not in made:
            made[ours] = made.pop(theirs)
    if made.get("includeTools") == ["*"]:
        del made["includeTools"]
    _read_names(made)
    seconds = made.get("tool_timeout_sec")
    if "timeout" not in made and isinstance(seconds, int | float) and not isinstance(seconds, bool):
        made["timeout"] = 1000 * made.pop("tool_timeout_sec")
    return made


def _read_names(made: dict[str, Any]) -> None:
    """Codex names variables of the environment in places of their own."""
    for key, place in (("env_vars", "env"), ("env_http_headers", "headers")):
        named = made.pop(key, None)
        if isinstance(named, list):
            named = {name: name for name in named}
        if isinstance(named, Mapping) and isinstance(made.get(place, {}), Mapping):
            written = {name: f"${{{variable}}}" for name, variable in named.items()}
            made[place] = {**written, **made.get(place, {})}
    token = made.pop("bearer_token_env_var", None)
    if isinstance(token, str) and isinstance(made.get("headers", {}), Mapping):
        made["headers"] = {"Authorization": f"Bearer ${{{token}}}", **made.get("headers", {})}


def _are_servers(found: Mapping[str, Any], is_one: Callable[[Mapping[str, Any]], bool]) -> bool:
    return bool(found) and all(isinstance(each, Mapping) and is_one(each) for each in found.values())


def _with_variables(value: Any) -> Any:
    """A value of opencode's file with its variables as an mcp.json has them."""
    if isinstance(value, str):
        return _OPENCODE_VARIABLE.sub(r"${\1:\2}", value)
    if isinstance(value, list):
        return [_with_variables(each) for each in value]
    return {key: _with_variables(each) for key, each in value.items()} if isinstance(value, Mapping) else value
