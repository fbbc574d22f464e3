"""What is said of an MCP server where it is given: how it is started or reached, and what it may do."""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pickle import PicklingError
from typing import Any
from urllib.parse import urlsplit

from agentkit._text import short_repr, without_credentials
from agentkit.errors import ConfigurationError
from agentkit.mcp.channel import MAX_TIMEOUT, Channel, Heard
from agentkit.mcp.command import Command
from agentkit.mcp.headers import checked_headers
from agentkit.mcp.questions import Ask
from agentkit.mcp.secrets import key_in_value, keys_in_url, keys_in_words
from agentkit.net.kept_keys import check_object, keyless
from agentkit.net.stored_keys import mcp_tokens_file
from agentkit.tooling.pickling import Part, check

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_ADDRESS = re.compile(r"(?:localhost|(?:[\w-]+\.)+[\w-]+|\[[0-9a-fA-F:]+\])(?::\d+)?(?:/\S*)?", re.ASCII)
_RUNNERS = frozenset(
    (
        "npx",
        "npm",
        "pnpm",
        "pnpx",
        "bunx",
        "bun",
        "yarn",
        "node",
        "deno",
        "tsx",
        "uvx",
        "uv",
        "pipx",
        "python",
        "python3",
    )
)
"""Programs that run another one, which their arguments name."""
_VERBS = frozenset(("run", "exec", "x", "dlx", "tool", "create"))
_NO_NAMES = frozenset(("www", "mcp", "api", "com", "org", "net", "io", "dev", "ai", "app"))
"""Parts of a host's name that say little."""
_AFFIXES = re.compile(r"^(?:mcp[-_]server[-_]|server[-_]|mcp[-_])|(?:[-_]mcp[-_]server|[-_]mcp|[-_]server)$")
_INNER = frozenset(("index", "main", "cli", "app", "server", "start", "dist", "build", "src", "bin", "lib", "out"))
"""Names of files and folders inside of a program's folder."""


STORED = "stored"
"""As `auth`: the login that is stored for an address, if there is one (`agentkit mcp login URL`)."""


@dataclass(frozen=True, repr=False)
class Settings:
    """How a server is started or reached. server: a command line, its words, or the address of an HTTP server. The
    others are those of `agentkit.mcp.MCP`.

    Raises ConfigurationError for what can't work.
    """

    server: str | Sequence[str]
    name: str | None = None
    timeout: float = 30.0
    env: Mapping[str, str] | None = None
    cwd: "str | os.PathLike[str] | None" = None
    headers: Mapping[str, str] | None = None
    auth: Any = STORED
    trust_hints: bool = False
    ask: Ask | None = None
    strict: bool = False
    sse: bool = False
    handshake: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.server, str):
            object.__setattr__(self, "server", _with_small_scheme(self.server.strip()))
        if not self.is_url:
            _check_command(self.server)
            object.__setattr__(self, "server", self.command.words)
        self._check_options()
        self._check_where()

    @property
    def is_url(self) -> bool:
        """Whether the server is reached over HTTP."""
        return isinstance(self.server, str) and self.server.startswith(("http://", "https://"))

    @property
    def command(self) -> Command:
        """How a server that is a process of ours is started."""
        return Command(self.server, self.env, self.cwd)

    @property
    def is_trusted(self) -> bool:
        """Whether what the server says of the effects of its tools is believed: it is a program that the user has
        chosen to run, or the user says so."""
        return self.trust_hints or not self.is_url

    @property
    def label(self) -> str:
        """A word for the server: the name that it was given, else one made of its command or address."""
        found = self.name or (_host_of(str(self.server)) if self.is_url else _program_of(self.command.words))
        return re.sub(r"[^A-Za-z0-9_-]+", "_", found).strip("_")[:40] or "server"

    def __repr__(self) -> str:
        """The program or the address, without what may be a key."""
        if not self.is_url:
            return self.command.name
        return without_credentials(str(self.server)).partition("?")[0].partition("#")[0]

    def open_channel(self, heard: Heard) -> Channel:
        """Start the server, or open a connection to it. Raises ConfigurationError and Gone."""
        if self.is_url:
            from agentkit.mcp.http import Http

            is_old = self.sse or urlsplit(str(self.server)).path.rstrip("/").endswith("/sse")
            return Http(
                str(self.server), headers=self.headers, auth=self.authorization(), heard=heard, expects_old=is_old
            )
        from agentkit.mcp.stdio import Stdio

        return Stdio(self.command, heard=heard)

    def authorization(self) -> Any:
        """What authorizes requests to the address; None for nothing."""
        if not isinstance(self.auth, str):
            return self.auth
        if any(name.lower() == "authorization" for name in self.headers or ()):
            return None
        try:
            if not mcp_tokens_file().exists():
                return None
        except (ConfigurationError, OSError):
            return None
        from agentkit.mcp.oauth import stored_login

        return stored_login(str(self.server))

    def __reduce__(self) -> Any:
        """Without keys, which are read from the environment again where it is loaded."""
        told = {each.name: getattr(self, each.name) for each in fields(self)}
        words = [self.server] if isinstance(self.server, str) else list(self.server)
        keys = [*keys_in_url(words[0])] if self.is_url else [*keys_in_words(words)]
        kept = [keyless(each, keys) for each in words]
        told["server"] = kept[0] if isinstance(self.server, str) else kept
        for option in ("env", "headers"):
            given = told[option]
            if given is not None:
                told[option] = {name: keyless(each, [key_in_value(name, each)]) for name, each in given.items()}
        check_object(self.auth)
        return _settings, (told,)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Settings":
        return self

    def check_pickle(self, protocol: int) -> None:
        """Raise PicklingError that names the part that can't be pickled."""
        named = {"auth": self.auth, "ask": self.ask}
        advice = "give a function or a class of the top level of a module, or make the MCP where it is used"
        check((Part(f"MCP {self.label}: {name}", each, advice) for name, each in named.items()), protocol)
        try:
            self.__reduce__()
        except PicklingError as error:
            raise PicklingError(f"MCP {self.label}: {error}") from None

    def _check_options(self) -> None:
        is_number = isinstance(self.timeout, int | float) and not isinstance(self.timeout, bool)
        if not is_number or not 0 < self.timeout <= MAX_TIMEOUT:
            raise ConfigurationError(
                f"MCP(timeout={short_repr(self.timeout)}): a number of seconds above 0, at most {MAX_TIMEOUT:.0f}"
            )
        if self.name is not None and (not isinstance(self.name, str) or not self.name.strip()):
            raise ConfigurationError(f"MCP(name={self.name!r}): a word for the server, such as 'files'")
        for option in ("trust_hints", "strict", "sse", "handshake"):
            if not isinstance(getattr(self, option), bool):
                raise ConfigurationError(f"MCP({option}={getattr(self, option)!r}): True or False")
        for option in ("ask", "auth"):
            value = getattr(self, option)
            if value is not None and not callable(value) and not (option == "auth" and value == STORED):
                raise ConfigurationError(f"MCP({option}=...): a function, not {type(value).__name__}")
        checked_headers(self.headers)

    def _check_where(self) -> None:
        """Check that an option fits the kind of server."""
        of_kind = {True: ("headers", "auth", "sse"), False: ("env", "cwd")}
        for option in of_kind[not self.is_url]:
            if getattr(self, option) not in (None, STORED, False):
                other = "a command" if self.is_url else "the address of a server"
                raise ConfigurationError(f"MCP({option}=...) is for {other}, and {self} is none")


def _settings(told: Mapping[str, Any]) -> Settings:
    return Settings(**told)


def _with_small_scheme(server: str) -> str:
    """An address with its scheme in lower case. Raises ConfigurationError for one of another scheme, or without a
    host."""
    found = _SCHEME.match(server)
    if found is None:
        return server
    scheme = found[1].lower()
    if scheme not in ("http", "https"):
        raise ConfigurationError(f"MCP({short_repr(server)}): a server is reached over http:// or https://")
    try:
        host = urlsplit(server).hostname
    except ValueError:
        host = None
    if not host:
        raise ConfigurationError(f"MCP({short_repr(without_credentials(server))}): this is not the address of a server")
    return f"{scheme}{server[len(scheme) :]}"


def _check_command(server: Any) -> None:
    """Raise ConfigurationError for an address that lacks its scheme, and for what is no command either."""
    if not isinstance(server, str | Sequence) or isinstance(server, bytes):
        raise ConfigurationError(f"MCP({short_repr(server)}): a command, its words in a list, or an http(s) address")
    word = server.strip().partition("?")[0] if isinstance(server, str) else ""
    if _ADDRESS.fullmatch(word) and not shutil.which(word) and not os.path.exists(word):
        raise ConfigurationError(
            f"MCP({short_repr(word)}): there is no such command; if it is an address, write its scheme: https://{word}"
        )


def _host_of(url: str) -> str:
    host = urlsplit(url.strip()).hostname or ""
    parts = [part for part in host.split(".") if part not in _NO_NAMES]
    return parts[-1] if parts and not host.replace(".", "").isdecimal() else host


def _program_of(words: Sequence[str]) -> str:
    """The program that a command runs, as one word: "filesystem" for npx -y @modelcontextprotocol/server-filesystem."""
    name = _base(words[0])
    if name in _RUNNERS:
        name = next((_base(word) for word in words[1:] if not word.startswith("-") and word not in _VERBS), name)
    while (shorter := _AFFIXES.sub("", name)) not in ("", name):
        name = shorter
    return name


def _base(word: str) -> str:
    """What a path or a package is called, without its version."""
    names = [re.sub(r"\.(?:exe|cmd|bat|js|mjs|cjs|ts|py|sh)$", "", each) for each in re.split(r"[/\\]", word)]
    name = next((each for each in reversed(names) if each and each not in _INNER), names[-1])
    return re.split(r"[@=]", name, maxsplit=1)[0] or word
