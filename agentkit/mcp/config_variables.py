"""The variables in a configuration file: `${VAR}`, `${VAR:-default}`, `${env:VAR}`, `${input:id}`,
`${workspaceFolder}`, and files of variables."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agentkit._text import line_of, short_repr
from agentkit.errors import ConfigurationError

Inputs = Mapping[str, str] | Callable[[Mapping[str, Any]], str]
"""The values of inputs by id; or a function that gets the description of one and returns its value."""

_VARIABLE = re.compile(r"\$\{([^{}]{1,500})\}")
_BARE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_ANY_VARIABLE = re.compile(r"\$\{([^{}]{1,500})\}|\$([A-Za-z_][A-Za-z0-9_]*)")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*)")


class Variables:
    """Replaces the variables of a file. folder: the workspace's, from which paths lead. environ: variables of the
    environment. input_of: returns the value of an input by its id. has_bare: whether $NAME is a variable, too."""

    def __init__(
        self, folder: Path, environ: Mapping[str, str], input_of: Callable[[str], str], has_bare: bool = False
    ) -> None:
        self._has_bare = has_bare
        self.folder = folder
        self._environ = environ
        self._input_of = input_of

    def replaced(self, text: str) -> str:
        """The text with the values of its variables. Raises ConfigurationError for one that has none."""
        if not self._has_bare:
            return _VARIABLE.sub(lambda found: self._value(found[0], found[1]), text)
        return _ANY_VARIABLE.sub(
            lambda found: self._value(found[0], found[1]) if found[1] else self._of_environment(found[2]), text
        )

    def left_bare(self, text: str) -> list[str]:
        """The variables of the environment that a text names as $NAME, where these are not replaced."""
        return [] if self._has_bare else [name for name in _BARE.findall(text) if name in self._environ]

    def program(self, command: str) -> str:
        """A command as it is run: a relative path leads from the folder, where something stands there."""
        path = self.folder / command
        is_path = os.path.dirname(command) and not command.startswith("~")
        return str(path) if is_path and path.exists() else command

    def _value(self, written: str, name: str) -> str:
        kind, _, rest = name.partition(":")
        if kind == "env" and not rest.startswith("-"):
            return self._of_environment(rest)
        if kind == "input":
            return self._input_of(rest)
        fixed = {
            "workspaceFolder": str(self.folder),
            "workspaceFolderBasename": self.folder.name,
            "userHome": os.path.expanduser("~"),
            "pathSeparator": os.sep,
            "/": os.sep,
        }
        if name in fixed:
            return fixed[name]
        if _NAME.fullmatch(name):
            return self._of_environment(name)
        if rest and kind.isidentifier():
            raise ConfigurationError(f"{short_repr(written)} is not known here: write its value")
        return written

    def _of_environment(self, written: str) -> str:
        found = _NAME.fullmatch(written)
        if found is None:
            raise ConfigurationError(f"{short_repr(written)} is not the name of a variable")
        name, default = found.groups()
        value = self._environ.get(name)
        if value or (value is not None and default is None):
            return value
        if default is None:
            raise ConfigurationError(
                f"the environment variable {name} is not set: set it, or write a default: ${{{name}:-...}}"
            )
        return default


def env_file(path: Path) -> dict[str, str]:
    """The variables of a file of lines NAME=value. Raises ConfigurationError, without a value, for another line."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"envFile {path} can't be read: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"envFile {path} is not UTF-8 (line {line_of(error)})") from None
    variables = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        found = _ASSIGNMENT.fullmatch(line)
        if found is None:
            raise ConfigurationError(f"envFile {path} has no NAME=value in line {number}")
        variables[found[1]] = _unquoted(found[2])
    return variables


def _unquoted(value: str) -> str:
    quote = value[:1]
    if quote in ("'", '"') and (end := value.find(quote, 1)) > 0:
        return value[1:end]
    return re.split(r"\s#", value, maxsplit=1)[0].rstrip()
