"""What the doors read from the environment."""

import os

DEFAULT_MODEL = "extractive"


def default_model() -> str:
    """AGENTKIT_MODEL, or the embedded default, which needs no key and no network."""
    return os.environ.get("AGENTKIT_MODEL") or DEFAULT_MODEL
