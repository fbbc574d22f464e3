"""The command that starts an MCP server, checked, and the environment that its process gets."""

import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agentkit._text import short_repr
from agentkit.errors import ConfigurationError
from agentkit.mcp.secrets import keys_in_words

_PASSED_ON = frozenset(
    [
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "TZ", "TMPDIR", "TMP", "TEMP", "DISPLAY"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
        *("NODE_EXTRA_CA_CERTS", "DOCKER_HOST", "SSH_AUTH_SOCK", "NVM_DIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH"),
        *("APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES", "PROGRAMFILES(X86)", "SYSTEMDRIVE", "SYSTEMROOT"),
        *("WINDIR", "COMSPEC", "PATHEXT", "USERNAME", "USERPROFILE", "HOMEDRIVE", "HOMEPATH", "NUMBER_OF_PROCESSORS"),
        "PROCESSOR_ARCHITECTURE",
    ]
)
_PASSED_ON_BEGINNINGS = ("LC_", "XDG_", "DYLD_")
"""Environment variables that programs need to find what is installed, where they may write, and the network. A server
is somebody else's program: it gets no key that it is not given."""
SECRET_LENGTH = 6
"""Fewest characters of what is masked in what the server writes."""


class Command:
    """How a server is started.

    command: a command line, which is split as a shell does but run without one, or a list: the program and its
    arguments. env: variables that it gets in addition to those that programs need (PATH, HOME, LANG, proxies, ...).
    cwd: its working directory.

    Raises ConfigurationError for an empty command, one that can't be split, and an argument of another type.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        env: Mapping[str, str] | None = None,
        cwd: "str | os.PathLike[str] | None" = None,
    ) -> None:
        self.words = _words(command)
        self.env = _variables(env)
        secrets = {*self.env.values(), *keys_in_words(self.words[1:])}
        self._secrets = sorted((each for each in secrets if len(each) >= SECRET_LENGTH), key=len, reverse=True)
        if cwd is not None and not isinstance(cwd, str | os.PathLike):
            raise ConfigurationError(f"cwd={short_repr(cwd)}: the path of a folder")
        self.cwd = None if cwd is None else os.path.expanduser(os.fspath(cwd))

    @property
    def name(self) -> str:
        """The name of the program."""
        return Path(self.words[0]).name or self.words[0]

    def __repr__(self) -> str:
        return f"Command({self.name})"  # arguments may be keys

    def environment(self) -> dict[str, str]:
        """The whole environment of the process."""
        passed_on = {
            name: value
            for name, value in os.environ.items()
            if name.upper() in _PASSED_ON or name.upper().startswith(_PASSED_ON_BEGINNINGS)
        }
        if os.name == "nt":  # MCP is UTF-8; Python's pipes are not, there
            passed_on["PYTHONUTF8"] = "1"
        return {**passed_on, **self.env}

    def arguments(self) -> list[str]:
        """What to execute: the path of the program, and its arguments. Raises ConfigurationError for a program or a
        working directory that there is not."""
        if self.cwd is not None and not os.path.isdir(self.cwd):
            raise ConfigurationError(f"the working directory {self.cwd!r} of the MCP server {self.name} does not exist")
        program = os.path.expanduser(self.words[0])
        for tried in self._places(program):
            found = shutil.which(tried, path=self.environment().get("PATH"))
            if found is not None:
                return [os.path.abspath(found), *self.words[1:]]
            if os.path.isfile(tried):
                raise ConfigurationError(f"the MCP server can't be started: {tried!r} is not executable")
        where = "does not exist" if os.path.dirname(program) else "was not found in PATH: is it installed?"
        raise ConfigurationError(f"the MCP server can't be started: the command {program!r} {where}")

    def _places(self, program: str) -> Iterator[str]:
        if os.path.dirname(program) and self.cwd is not None:
            yield os.path.join(self.cwd, program)
        yield program

    def masked(self, text: str, is_cut: bool = False) -> str:
        """A text of the server without the values of `env`, which may be keys, and the keys among the arguments.
        is_cut: whether it is the end of a text; then it may begin with a part of a key, which is left out."""
        if is_cut:
            text = text.lstrip("\ufffd")  # of the rest of a character
            text = text[max((_shared(each, text) for each in self._secrets), default=0) :]
        for each in self._secrets:
            text = text.replace(each, "***")
        return text


def _shared(secret: str, text: str) -> int:
    """With how many characters of the end of a secret a text begins."""
    return next((count for count in range(len(secret) - 1, 0, -1) if text.startswith(secret[-count:])), 0)


def _words(command: object) -> tuple[str, ...]:
    if isinstance(command, str):
        try:
            words = tuple(shlex.split(command, posix=os.name != "nt"))
        except ValueError as error:
            raise ConfigurationError(f"the command of an MCP server can't be split: {error}") from None
        if os.name == "nt":
            words = tuple(_unquoted(word) for word in words)
    elif isinstance(command, Sequence) and all(isinstance(word, str) for word in command):
        words = tuple(command)
    else:
        raise ConfigurationError(
            f"the command of an MCP server is a text or a list of texts, not {type(command).__name__}"
        )
    if not words or not words[0].strip():
        raise ConfigurationError("the command of an MCP server is empty")
    if any("\0" in word for word in words):
        raise ConfigurationError("the command of an MCP server has a null character")
    return words


def _unquoted(word: str) -> str:
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word


def _variables(env: object) -> dict[str, str]:
    if env is None:
        return {}
    if not isinstance(env, Mapping):
        raise ConfigurationError(f"env is a dict of texts, not {type(env).__name__}")
    for name, value in env.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise ConfigurationError(f"env[{short_repr(name)}]: names and values are texts, not {type(value).__name__}")
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise ConfigurationError(f"env[{short_repr(name)}]: not the name or value of an environment variable")
    return dict(env)
