"""What the doors read from the environment."""

import os
from pathlib import Path

DEFAULT_MODEL = "extractive"


def default_model() -> str:
    """AGENTKIT_MODEL, or the embedded default, which needs no key and no network."""
    return os.environ.get("AGENTKIT_MODEL") or DEFAULT_MODEL


def session_store() -> str:
    """AGENTKIT_SESSIONS, or a file where the system keeps a user's data (XDG Base Directory Specification)."""
    given = os.environ.get("AGENTKIT_SESSIONS")
    if given:
        return given
    home = os.environ.get("XDG_DATA_HOME") or os.environ.get("LOCALAPPDATA")
    return str((Path(home) if home else Path.home() / ".local" / "share") / "agentkit" / "sessions.db")
