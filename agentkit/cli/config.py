"""The configuration file: defaults of the options that people type again and again. `agentkit config` shows it.

An option on the command line comes first, then the environment variable, then the file.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import typer

from agentkit._text import in_a_line, line_of, without_credentials
from agentkit.cli.printable import printable
from agentkit.cli.stores import leave
from agentkit.errors import ConfigurationError
from agentkit.evidence.settings import Word
from agentkit.net.stored_keys import config_folder
from agentkit.taint.settings import TaintMode

KEYS: Mapping[str, type] = {
    "model": str,
    "system": str,
    "tool": list,
    "hook": list,
    "mcp": list,
    "docs": str,
    "evidence": str,
    "max-turns": int,
    "taint": str,
    "markdown": bool,
    "quiet": bool,
    "store": str,
}
"""The keys, each the long name of an option, with the type of its value; a list has texts."""
WORDS: Mapping[str, tuple[str, ...]] = {"evidence": get_args(Word), "taint": get_args(TaintMode)}
"""The keys whose values are one of these words, in any case."""
VARIABLES = {
    "evidence": "AGENTKIT_EVIDENCE",
    "model": "AGENTKIT_MODEL",
    "store": "AGENTKIT_SESSIONS",
    "taint": "AGENTKIT_TAINT",
}
"""The environment variables that come before the file."""

_TYPES = {
    str: "a text in quotation marks",
    list: 'a list of texts, such as ["search"]',
    int: "a number",
    bool: "true or false",
}


def variable(name: str) -> str:
    """Return the value of an environment variable, "" when it is unset."""
    return os.environ.get(name, "")


app = typer.Typer(help="Show the configuration file, which holds defaults of the options.", no_args_is_help=True)


def config_file() -> Path:
    """Return the configuration file. Raises ConfigurationError when there is no home directory."""
    return config_folder() / "config.toml"


def configured() -> dict[str, Any]:
    """Return what the configuration file sets, by key. Raises ConfigurationError when it can't be read, has a key that
    is not known, or a value of another type."""
    try:
        file = config_file()
        text = file.read_bytes().decode("utf-8-sig")
    except (ConfigurationError, FileNotFoundError, NotADirectoryError):  # no home directory: no file either
        return {}
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not UTF-8 (line {line_of(error)}): save it as UTF-8") from None
    except OSError as error:
        raise ConfigurationError(f"{file} can't be read: {error.strerror or error}") from None
    import tomllib

    try:
        given = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{file} is not TOML: {error}") from None
    for key, value in given.items():
        _check(file, key, value)
    return given


def default_map() -> dict[str, Any]:
    """Return the file's values by command and parameter, as typer takes them. Raises what `configured` raises."""
    values = {key.replace("-", "_"): value for key, value in configured().items()}
    if "docs" in values:
        values["docs"] = [os.path.expanduser(values["docs"])]
    commands = ("list", "show", "export", "import", "delete", "prune", "rename")
    return {
        "ask": values,
        "batch": values,
        "eval": values,
        "chat": values,
        "research": {key: value for key, value in values.items() if key != "max_turns"},  # that of one question is low
        "replay": values,
        "models": values,
        "trace": values,
        "sessions": dict.fromkeys(commands, values),
    }


def _check(file: Path, key: str, value: Any) -> None:
    kind = KEYS.get(key)
    if kind is None:
        like = difflib.get_close_matches(key.replace("_", "-"), KEYS, 1, 0.5)
        hint = f"did you mean {like[0]!r}?" if like else f"the keys are {', '.join(KEYS)}"
        raise ConfigurationError(f"{file}: there is no key {key!r}: {hint}")
    is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
    if type(value) is not kind or (kind is list and not is_list):
        raise ConfigurationError(f"{file}: {key} has to be {_TYPES[kind]}")
    if isinstance(value, int) and kind is int and value < 1:
        raise ConfigurationError(f"{file}: {key} has to be at least 1")
    if isinstance(value, str) and key in WORDS and value.lower() not in WORDS[key]:
        raise ConfigurationError(f"{file}: {key} has to be one of {', '.join(WORDS[key])}, not {value[:80]!r}")


@app.command()
def path() -> None:
    """Print where the configuration file is, or would be."""
    try:
        print(config_file())
    except ConfigurationError as error:
        leave(str(error), 1)


@app.command()
def show() -> None:
    """Print the value of each key, and where it comes from.

    Exit code: 0 success, 2 the file can't be used.
    """
    try:
        given = configured()
    except ConfigurationError as error:
        leave(str(error), 2)
    for key in KEYS:
        name = VARIABLES.get(key, "")
        if variable(name):
            value, source = variable(name), name
        elif key in given:
            value, source = given[key], "config.toml"
        else:
            value, source = "-", "default"
        print(printable(f"{key:<10} {source:<17} {_shown(value)}"))


def _shown(value: Any) -> str:
    text = (
        ", ".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)
    )
    return in_a_line(without_credentials(text), 200)
