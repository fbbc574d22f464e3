"""Defaults of the entry points, read from environment variables."""

import os
from collections.abc import Mapping
from pathlib import Path

DEFAULT_MODEL = "extractive"


def default_model() -> str:
    """Return AGENTKIT_MODEL, or else the embedded default model, which needs no API key and no network."""
    return os.environ.get("AGENTKIT_MODEL") or DEFAULT_MODEL


def data_folder() -> Path:
    """Return the user data directory of this program (XDG Base Directory Specification; LOCALAPPDATA on Windows)."""
    home = os.environ.get("XDG_DATA_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(home) if home else Path.home() / ".local" / "share") / "agentkit"


def session_store() -> str:
    """Return AGENTKIT_SESSIONS, or else the path of an SQLite file in the user data directory."""
    return os.environ.get("AGENTKIT_SESSIONS") or str(data_folder() / "sessions.db")


def hand_on(settings: Mapping[str, str | None]) -> None:
    """Set environment variables for later reads in this process and in its child processes. Empty values are
    skipped."""
    os.environ.update({name: value for name, value in settings.items() if value})
