"""The servers of a configuration file: the `mcpServers` JSON of Claude Desktop and Cursor, and what others write."""

import difflib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from agentkit._lazy.logs import logger_of
from agentkit._text import in_a_line, line_of, short_repr
from agentkit.errors import ConfigurationError
from agentkit.mcp.channel import MAX_TIMEOUT
from agentkit.mcp.commented_json import read_commented
from agentkit.mcp.config_forms import BARE, FOLDERS, in_common_form, servers_in
from agentkit.mcp.config_logins import login_advice
from agentkit.mcp.config_variables import Inputs, Variables, env_file
from agentkit.mcp.selections import Only, Without
from agentkit.mcp.tools import MCP, ServerTools, chosen

logger = logger_of("agentkit")

MAX_BYTES = 5_000_000
STDIO, HTTP = ("stdio", "local"), ("http", "streamable-http", "streamableHttp", "streamable_http", "remote")
SSE = "sse"
LEAST_MILLISECONDS = 1_000
"""A timeout from which on it is one of milliseconds: some programs have these, others seconds."""

_LOGINS = ("oauth", "auth")
"""What a file says of the login to a server: an object of Claude Code and others, one of Cursor; false for none."""
_KEYS = frozenset(
    (
        *("command", "args", "env", "envFile", "cwd", "type", "transport", "url", "serverUrl", "httpUrl", "headers"),
        *("disabled", "enabled", "timeout", "trustHints", "includeTools", "excludeTools", "disabledTools"),
        "handshake",
        *_LOGINS,
    )
)
_IGNORED = frozenset(
    (
        *("name", "description", "alwaysAllow", "autoApprove", "autoApproveTools", "icon", "gallery", "version", "id"),
        *("dev", "note", "notes", "comment", "$schema", "title", "fromGalleryId", "sandboxEnabled", "networkTimeout"),
        *("trust", "source", "startup_timeout_sec", "startup_timeout_ms"),
    )
)
"""Keys of other programs that change nothing here."""


def load_config(
    path: "str | os.PathLike[str]",
    *,
    inputs: Inputs | None = None,
    environ: Mapping[str, str] | None = None,
) -> list[ServerTools]:
    """The servers of a file, which begin when an agent is made with them; those that are disabled are left out.

    inputs: the values of VS Code's `${input:id}` by id, or a function that gets the description of one (a dict with
    "id", "description", "password", ...) and returns its value. environ: the variables of `${VAR}`, else those of this
    process. Comments, unknown keys and the like are warned of.

    Raises ConfigurationError, which names the server and the key, for what can't be used.
    """
    file = Path(os.path.expanduser(os.fspath(path)))
    config = _read(file)
    variables = Variables(
        _workspace(file),
        os.environ if environ is None else environ,
        _inputs(file, config, inputs),
        has_bare=file.absolute().parent.name in BARE,
    )
    found = []
    for name, given in _servers(file, config).items():
        entry = _Entry(file, name, given, variables)
        if entry.is_enabled:
            found.append(entry.server())
    return found


def _read(file: Path) -> Mapping[str, Any]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} can't be read: {(error.strerror or str(error)).lower()}") from None
    if len(content) > MAX_BYTES:
        raise ConfigurationError(f"{file} has more than {MAX_BYTES:,} bytes: it is no list of MCP servers")
    try:
        config, notes = _parsed(file, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not UTF-8 (line {line_of(error)}): save it as UTF-8") from None
    except ValueError as error:
        raise ConfigurationError(f"{file} is not {_language(file)}: {error}") from None
    for note in notes:
        logger.warning("%s: %s", file, note)
    if not isinstance(config, Mapping):
        raise ConfigurationError(f'{file} has no object: write {{"mcpServers": {{"NAME": {{"command": ...}}}}}}')
    return config


def _language(file: Path) -> str:
    return "TOML" if file.suffix.lower() == ".toml" else "JSON"


def _parsed(file: Path, text: str) -> tuple[Any, list[str]]:
    """The content of a file, and what is to be said of it. Raises ValueError."""
    if _language(file) == "JSON":
        return read_commented(text)
    import tomllib

    try:
        return tomllib.loads(text), []
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _servers(file: Path, config: Mapping[str, Any]) -> Mapping[str, Any]:
    for place, found in servers_in(config):
        if not isinstance(found, Mapping):
            raise ConfigurationError(f"{file}: {place} has to be an object of servers by name")
        return found
    near = difflib.get_close_matches("mcpServers", [str(key) for key in config], 1, 0.6)
    hint = f": did you mean it with {near[0]!r}?" if near else ""
    raise ConfigurationError(f'{file} has no "mcpServers" (nor "servers", as VS Code has){hint}')


def _inputs(file: Path, config: Mapping[str, Any], given: Inputs | None) -> Callable[[str], str]:
    """Returns a function that returns the value of an input by its id. Raises ConfigurationError for one that there is
    not."""
    listed = config.get("inputs")
    described = {
        each["id"]: each for each in listed or () if isinstance(each, Mapping) and isinstance(each.get("id"), str)
    }
    known: dict[str, str] = {}

    def value_of(name: str) -> str:
        if name not in known:
            known[name] = found(name)
        return known[name]

    def found(name: str) -> str:
        about = described.get(name, {"id": name})
        value = given(about) if callable(given) else (given or {}).get(name, about.get("default"))
        if not isinstance(value, str):
            what = about.get("description")
            said = f" ({in_a_line(str(what), 100)})" if what else ""
            raise ConfigurationError(
                f"the value of the input {name!r}{said} is not known: pass load_config(..., inputs={{{name!r}: ...}})"
            )
        return value

    return value_of


def _workspace(file: Path) -> Path:
    """The folder that a file is about."""
    folder = file.absolute().parent
    return folder.parent if folder.name in FOLDERS else folder


class _Entry:
    """A server of the file. Raises ConfigurationError for what is none."""

    def __init__(self, file: Path, name: str, given: Any, variables: Variables) -> None:
        self._where = f"{file}: server {name!r}"
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"{self._where} has to be an object with a command or a url")
        self._name, self._given, self._variables = name, in_common_form(given), variables

    @property
    def is_enabled(self) -> bool:
        """Whether it is to be used."""
        return self._flag("disabled", False) is False and self._flag("enabled", True) is True

    def server(self) -> ServerTools:
        """The tools of the server that are to be used."""
        self._warn_of_unknown()
        given = self._given
        urls = [key for key in ("url", "serverUrl", "httpUrl") if given.get(key) is not None]
        if bool(urls) == (given.get("command") is not None):
            raise ConfigurationError(f"{self._where} needs a command, or a url, and not both")
        options: dict[str, Any] = {"name": self._name, "trust_hints": self._flag("trustHints", False)}
        options["sse"], options["handshake"] = self._is_sse(is_url=bool(urls)), self._flag("handshake", False)
        if given.get("timeout") is not None:
            options["timeout"] = self._seconds(given["timeout"])
        try:
            made: ServerTools = self._over_http(urls[0], options) if urls else self._process(options)
            return self._chosen(made)
        except ConfigurationError as error:
            said = str(error)
            raise ConfigurationError(said if said.startswith(self._where) else f"{self._where}: {said}") from None

    def _over_http(self, key: str, options: dict[str, Any]) -> MCP:
        headers = {name: self._text(f"headers.{name}", value) for name, value in self._mapping("headers").items()}
        url, logins = self._text(key, self._given[key]), [self._given.get(each) for each in _LOGINS]
        if any(each is False for each in logins):
            options["auth"] = None
        made = MCP(url, headers=headers or None, **options)
        found = next((each for each in logins if isinstance(each, Mapping)), {})
        advice = login_advice(repr(made.connection.settings), found, self._text)  # without what may be a key
        if advice and not headers and made.connection.settings.authorization() is None:
            logger.warning("%s: nobody has logged in to it yet: %s", self._where, advice)
        return made

    def _process(self, options: dict[str, Any]) -> MCP:
        cwd = self._given.get("cwd")
        folder = None if cwd is None else self._variables.folder / os.path.expanduser(self._text("cwd", cwd))
        return MCP(self._words(), env=self._env() or None, cwd=folder, **options)

    def _words(self) -> str | list[str]:
        """The command and its arguments. Some write both into `command`; MCP splits that."""
        command, args = self._given["command"], self._given.get("args")
        if isinstance(command, list):
            return [self._text(f"command[{place}]", each) for place, each in enumerate(command)]
        if args is not None and not isinstance(args, list):
            raise ConfigurationError(f"{self._where}: args has to be a list of texts")
        program = self._variables.program(self._text("command", command))
        if not args and not os.path.exists(program):
            return program
        return [program, *(self._text(f"args[{place}]", each) for place, each in enumerate(args or ()))]

    def _env(self) -> dict[str, str]:
        from_file = self._given.get("envFile")
        variables = {}
        if from_file is not None:
            path = self._variables.folder / os.path.expanduser(self._text("envFile", from_file))
            variables = env_file(path)
        for name, value in self._mapping("env").items():
            if value is None:  # as VS Code has it
                variables.pop(name, None)
            else:
                variables[name] = self._text(f"env.{name}", value)
        return variables

    def _chosen(self, made: ServerTools) -> ServerTools:
        """The tools that the file names, as some programs have it."""
        if self._given.get("includeTools") is not None:  # of an empty list: none
            made = chosen(made, Only(tuple(self._names("includeTools")), f"{self._where}: includeTools"))
        for key in ("excludeTools", "disabledTools"):
            if names := self._names(key):  # an update of the server may have taken one away
                made = chosen(made, Without(tuple(dict.fromkeys(names)), f"{self._where}: {key}", only_warns=True))
        return made

    def _names(self, key: str) -> list[str]:
        found = self._given.get(key)
        if found is None:
            return []
        if not isinstance(found, list):
            raise ConfigurationError(f"{self._where}: {key} has to be a list of the names of tools")
        return found

    def _text(self, key: str, value: Any) -> str:
        """A text of the file with its variables replaced; a number and a truth value as a text."""
        if isinstance(value, bool | int | float):
            return json.dumps(value)
        if not isinstance(value, str):
            raise ConfigurationError(f"{self._where}: {key} has to be a text, not {_kind(value)}")
        try:
            found = self._variables.replaced(value)
        except ConfigurationError as error:
            raise ConfigurationError(f"{self._where}: {key}: {error}") from None
        for name in self._variables.left_bare(value):
            logger.warning("%s: %s has $%s, which is not replaced: write ${%s}", self._where, key, name, name)
        return found

    def _mapping(self, key: str) -> Mapping[str, Any]:
        found = self._given.get(key)
        if found is not None and not isinstance(found, Mapping):
            raise ConfigurationError(f"{self._where}: {key} has to be an object, not {_kind(found)}")
        return found or {}

    def _flag(self, key: str, default: bool) -> bool:
        found = self._given.get(key, default)
        if not isinstance(found, bool):
            raise ConfigurationError(f"{self._where}: {key} has to be true or false, not {_kind(found)}")
        return found

    def _seconds(self, value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ConfigurationError(f"{self._where}: timeout has to be a number, not {_kind(value)}")
        return value / 1000 if LEAST_MILLISECONDS <= value <= 1000 * MAX_TIMEOUT else value

    def _is_sse(self, is_url: bool) -> bool:
        """Whether the transport is HTTP with SSE. Raises ConfigurationError for one that does not fit."""
        kind = self._given.get("type") or self._given.get("transport")
        if kind is None or kind in ((*HTTP, SSE) if is_url else STDIO):
            return kind == SSE
        has, known = ("url", (*HTTP, SSE)) if is_url else ("command", STDIO)
        raise ConfigurationError(
            f"{self._where}: type {short_repr(kind)} does not fit a server with a {has}, which is {' or '.join(known)}"
        )

    def _warn_of_unknown(self) -> None:
        for key in self._unknown():
            near = difflib.get_close_matches(key, _KEYS, 1, 0.7)
            hint = f"did you mean {near[0]!r}?" if near else "it is ignored"
            logger.warning("%s: there is no key %s: %s", self._where, short_repr(key), hint)

    def _unknown(self) -> Iterator[str]:
        return (key for key in self._given if key not in _KEYS | _IGNORED and not key.startswith(("_", "//", "#")))


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
