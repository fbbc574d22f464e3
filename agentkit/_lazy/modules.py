"""Modules that are used where they are loaded, and not loaded for it."""

import sys
from typing import Any


def loaded(module: str, name: str) -> Any:
    """What a module has under a name; None where it is not loaded, or where another thread that imports it has not come
    as far as that."""
    return getattr(sys.modules.get(module), name, None)
