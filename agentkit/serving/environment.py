"""What the doors read from the environment."""

import os
from collections.abc import Mapping
from pathlib import Path

DEFAULT_MODEL = "extractive"


def default_model() -> str:
    """AGENTKIT_MODEL, or the embedded default, which needs no key and no network."""
    return os.environ.get("AGENTKIT_MODEL") or DEFAULT_MODEL


def data_folder() -> Path:
    """Where the system keeps a user's data of this program (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_DATA_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(home) if home else Path.home() / ".local" / "share") / "agentkit"


def session_store() -> str:
    """AGENTKIT_SESSIONS, or a file among the user's data."""
    return os.environ.get("AGENTKIT_SESSIONS") or str(data_folder() / "sessions.db")


def hand_on(settings: Mapping[str, str | None]) -> None:
    """Set variables of the environment for what is read from it later, in this process and those that it starts; what
    is empty is left as it is."""
    os.environ.update({name: value for name, value in settings.items() if value})
