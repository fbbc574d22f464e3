"""Defaults of the entry points, read from environment variables."""

import difflib
import logging
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from agentkit._forking import logger
from agentkit.errors import ConfigurationError

DEFAULT_MODEL = "extractive"
"""The embedded model, which needs no API key and no network."""

Level = Literal["debug", "info", "warning", "error"]
"""What is logged at least."""

READ_ELSEWHERE = frozenset({"AGENTKIT_CACHE", "AGENTKIT_NO_PLUGINS", "AGENTKIT_RECORD", "AGENTKIT_SEARCH"})
"""Variables of this program that are no settings of a service."""

_LINKED_PORT = re.compile(r"_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?")
_LINKED = re.compile(r"(tcp|udp|sctp)://")
PREFIX = "AGENTKIT_"
GROUPS = ("AGENTKIT_MQTT_", "AGENTKIT_JWT_")
"""Prefixes that no other program has for its own."""


def show_warnings() -> None:
    """In a program of agentkit's own, warnings go to standard error where no log is configured, as Python has it."""
    for handler in [each for each in logger.handlers if isinstance(each, logging.NullHandler)]:
        logger.removeHandler(handler)


def data_folder() -> Path:
    """Return the user data directory of this program (XDG Base Directory Specification, by which a relative path does
    not count; LOCALAPPDATA on Windows)."""
    given = (Path(os.environ.get(name, "")) for name in ("XDG_DATA_HOME", "LOCALAPPDATA"))
    home = next((folder for folder in given if folder.is_absolute()), None)
    return (home or _home() / ".local" / "share") / "agentkit"


def _home() -> Path:
    """The home directory; the root where the user has none, which is the home of such users in containers."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def session_store() -> str:
    """Return AGENTKIT_SESSIONS, or else the path of an SQLite file in the user data directory. Raises
    ConfigurationError when that can't be written."""
    return os.environ.get("AGENTKIT_SESSIONS") or str(_writable(data_folder()) / "sessions.db")


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK) else "it is read-only"
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    if reason:
        raise ConfigurationError(
            f"sessions can't be kept in {folder}: {reason}: give another place with --store or AGENTKIT_SESSIONS "
            "(memory: keeps them until the program ends), or another folder with XDG_DATA_HOME"
        )
    return folder


def hand_on(settings: Mapping[str, object]) -> None:
    """Set environment variables for later reads in this process and in its child processes; those that are None are
    skipped."""
    os.environ.update({name: str(value) for name, value in settings.items() if value is not None})


def use_secret_files(more: Mapping[str, str | None] | None = None) -> None:
    """Set the variables whose values are in files, which others name (`agentkit.serving.secret_files`). more: variables
    that count where the environment does not have them. The file comes before a value: a process that was begun with
    an older one gets the new one. Raises ConfigurationError."""
    given = {**(more or {}), **os.environ}
    if any(name.endswith(("_API_KEY_FILE", "_SECRET_FILE", "_SESSIONS_FILE")) for name in given):
        from agentkit.serving.secret_files import values_of_files

        os.environ.update(values_of_files(given))


def drop_service_links() -> None:
    """Remove the variables that Kubernetes sets for a service that is named like this program
    (AGENTKIT_PORT=tcp://10.0.0.1:80, AGENTKIT_SERVICE_HOST, ...): they are not settings."""
    for name, value in list(os.environ.items()):
        if name.startswith(PREFIX) and _is_service_link(name, value):
            del os.environ[name]


def _is_service_link(name: str, value: str) -> bool:
    _, is_service, of = name.rpartition("_SERVICE_")
    if is_service and of.partition("_")[0] in ("HOST", "PORT"):
        return True
    _, is_port, rest = name.rpartition("_PORT")
    return bool(is_port) and (bool(_LINKED.match(value)) if not rest else bool(_LINKED_PORT.fullmatch(rest)))


def set_defaults(variables: Mapping[str, str | None]) -> None:
    """Set the environment variables that are not set."""
    for name, value in variables.items():
        if value is not None:
            os.environ.setdefault(name, value)


def check_environment(known: Iterable[str], prefix: str = "") -> None:
    """Check the names of the environment's variables that have a prefix, as `check_names` does."""
    check_names(known, [name for name in os.environ if name.startswith(prefix)])


def check_names(known: Iterable[str], given: Iterable[str], where: str = "") -> None:
    """Check the names of variables against those of the settings. where: the file they are in; "" for the environment,
    in which other programs may have some with this prefix too.

    Raises ConfigurationError for one that is misspelt, and for one with agentkit's prefix that is unknown; of those of
    the environment, that may be another program's, a warning is logged.
    """
    settings = {*known, *READ_ELSEWHERE}
    for name in sorted({each.upper() for each in given} - settings):
        prefix, group, like = _nearest(name, settings)
        said = f"{name}{f' in {where}' if where else ''} is not a setting of agentkit"
        if like is not None:
            raise ConfigurationError(f"{said}: did you mean {like}?")
        if prefix in GROUPS:
            raise ConfigurationError(f"{said}: there are {', '.join(group)}")
        if prefix == PREFIX and where:
            raise ConfigurationError(f"{said}: .env.example and docs/http.md list them")
        if prefix == PREFIX:
            logger.warning("%s", said)


def _nearest(name: str, settings: Iterable[str]) -> tuple[str, list[str], str | None]:
    """The prefix of a name, the settings with that prefix, and the one whose misspelt name this may be."""
    for prefix, likeness in (*((group, 0.75) for group in GROUPS), (PREFIX, 0.75), ("LLM_", 0.85)):
        if name.startswith(prefix):
            group = sorted(each for each in settings if each.startswith(prefix))
            ends = [each.removeprefix(prefix) for each in group]
            found = difflib.get_close_matches(name.removeprefix(prefix), ends, 1, likeness)
            return prefix, group, prefix + found[0] if found else None
    whole = difflib.get_close_matches(name, settings, 1, 0.94)
    return "", [], whole[0] if whole else None
