"""Families as another package would add them: by entry points in a distribution on sys.path."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentkit.text import any_format, families, special_tokens
from tests.support.package import write_package


def forget() -> None:
    """Forget what was read from the families, so that the next use reads the entry points again."""
    importlib.invalidate_caches()
    families._loaded.cache_clear()
    any_format.any_format.cache_clear()
    any_format.any_format_of.cache_clear()
    any_format._announced.cache_clear()
    special_tokens._everything.cache_clear()
    special_tokens._turns.cache_clear()
    special_tokens._are_all_own.cache_clear()


@contextmanager
def installed(folder: Path, **entry_points: str) -> Iterator[None]:
    """Install a distribution in a folder. entry_points: the value of each entry point, such as "package.module:FAMILY",
    by its name."""
    write_package(folder, "other_families", "", {"agentkit.families": entry_points})
    sys.path.insert(0, str(folder))
    forget()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        forget()
