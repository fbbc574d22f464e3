"""Families as another package would add them: by entry points in a distribution on sys.path."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentkit.backends import fallback_calls
from agentkit.text import any_format, families, special_tokens


def _forget() -> None:
    """Forget what was read from the families, so that the next use reads the entry points again."""
    importlib.invalidate_caches()
    families._loaded.cache_clear()
    any_format.any_format.cache_clear()
    fallback_calls._any_format.cache_clear()
    special_tokens._everything.cache_clear()
    special_tokens._turns.cache_clear()


@contextmanager
def installed(folder: Path, **entry_points: str) -> Iterator[None]:
    """Install a distribution in a folder. entry_points: the value of each entry point, such as "package.module:FAMILY",
    by its name."""
    info = folder / "families-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: families\nVersion: 1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in entry_points.items())
    (info / "entry_points.txt").write_text(f"[agentkit.families]\n{lines}")
    sys.path.insert(0, str(folder))
    _forget()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        _forget()
