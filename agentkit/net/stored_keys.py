"""API keys that the user has stored with `agentkit keys set NAME`, in a file that only the user can read.

A provider that reads NAME_API_KEY from the environment gets the key stored as NAME when the variable is unset.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from agentkit._lazy.patterns import pattern
from agentkit.errors import ConfigurationError
from agentkit.net.keys import checked_key

if TYPE_CHECKING:
    from pathlib import Path

NAME = pattern(r"[a-z0-9][a-z0-9-]{0,63}")
_SUFFIX = "_API_KEY"


def config_folder() -> "Path":
    """Return the folder of the user's configuration: ~/.config/agentkit, or what stands for it on this system.

    Raises ConfigurationError when there is no home directory."""
    from platformdirs import user_config_path

    with suppress(RuntimeError):  # older versions return a relative path instead
        folder = user_config_path("agentkit", appauthor=False)
        if folder.is_absolute():
            return folder
    raise ConfigurationError("there is no home directory for the configuration: set HOME or XDG_CONFIG_HOME")


def keys_file() -> "Path":
    """Return the file of the stored keys. Raises ConfigurationError when there is no home directory."""
    return config_folder() / "keys.json"


def mcp_tokens_file() -> "Path":
    """Return the file of the logins to MCP servers. Raises ConfigurationError when there is no home directory."""
    return config_folder() / "mcp-tokens.json"


def stored_keys() -> dict[str, str]:
    """Return the stored keys by name. Raises ConfigurationError, without a key in it, when they can't be read."""
    try:
        file = keys_file()
    except ConfigurationError:
        return {}
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigurationError(f"the stored keys can't be read: {file}: {error.strerror}") from None
    except (ValueError, RecursionError):
        kept = None
    if not isinstance(kept, dict) or not all(isinstance(key, str) for key in kept.values()):
        raise ConfigurationError(
            f"{file} is damaged: it has to be a JSON object of names and keys; correct it, or delete it and set the "
            "keys again with agentkit keys set NAME"
        )
    return kept


def store_key(name: str, key: str) -> "Path":
    """Store a key, in place of an earlier one of that name, and return the file. Raises ConfigurationError for a name
    or key that can't be one, and when the file can't be written."""
    checked = checked_key(key.strip(), "the key")
    if checked is None:
        raise ConfigurationError("no key was given: nothing was stored")
    return _change({_checked_name(name): checked})


def remove_key(name: str) -> "Path":
    """Remove a stored key and return the file. Raises ConfigurationError when there is none of that name."""
    if _checked_name(name) not in stored_keys():
        raise ConfigurationError(f"no key is stored as {name!r}: agentkit keys list shows all")
    return _change({_checked_name(name): None})


def environment_with_keys() -> Mapping[str, str]:
    """Return the process's environment variables, with the stored key of NAME where NAME_API_KEY is unset or empty."""
    return _EnvironmentWithKeys(os.environ)


class _EnvironmentWithKeys(Mapping[str, str]):
    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def __getitem__(self, name: str) -> str:
        if name.endswith(_SUFFIX) and not self._variables.get(name):
            stored = stored_keys().get(name.removesuffix(_SUFFIX).lower().replace("_", "-"))
            if stored is not None:
                return stored
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def variable_of(name: str) -> str:
    """Return the environment variable that takes precedence over the stored key of a name."""
    return name.upper().replace("-", "_") + _SUFFIX


def _checked_name(name: str) -> str:
    known = name.strip().lower().replace("_", "-")
    if not NAME.fullmatch(known):
        raise ConfigurationError("the name of a key is that of a provider, such as openai: letters, digits and '-'")
    return known


def _change(changes: Mapping[str, str | None]) -> "Path":
    def changed() -> str:
        kept = {name: key for name, key in {**stored_keys(), **changes}.items() if key is not None}
        return json.dumps(kept, indent=1) + "\n"

    return write_privately(keys_file(), changed)


def write_privately(file: "Path", text: Callable[[], str], what: str = "the keys") -> "Path":
    """Change a file of secrets in one step, so that it is never half written nor readable by others, and return it.
    text: called while no other program changes it. what: the secrets, as errors name them. Raises ConfigurationError
    when the file can't be written."""
    from filelock import FileLock, Timeout

    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = file.resolve()  # a link to the file stays one
        with FileLock(f"{file}.lock", timeout=10.0, mode=0o600):
            _replace(file, text())
    except Timeout:
        raise ConfigurationError(f"{what} can't be stored: another program holds {file}.lock") from None
    except OSError as error:
        raise ConfigurationError(f"{what} can't be stored: {file}: {error.strerror or error}") from None
    return file


def _replace(file: "Path", text: str) -> None:
    new = file.with_name(f"{file.name}.{os.getpid()}.new")
    with suppress(FileNotFoundError):
        new.unlink()
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(text)
        new.replace(file)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise
