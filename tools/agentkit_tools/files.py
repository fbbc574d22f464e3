"""Which files of a folder are documents, and whether they changed."""

import contextlib
import os
import stat
from collections.abc import Container, Iterator
from pathlib import Path

State = tuple[int, int]
"""When a file was last changed (nanoseconds) and its size (bytes)."""


def files_below(root: Path, endings: Container[str]) -> dict[str, State]:
    """Returns the state of each document below a folder, by its path in it with "/"; those in hidden folders, and those
    that a link leads out of the folder to, are left out. Bytes of a name that are no UTF-8 are "?" in the path."""
    found = {}
    for path, entry in _entries(str(root)):
        if os.path.splitext(entry.name)[1].lower() in endings and (state := _state(entry, root)) is not None:
            found[path if path.isascii() else path.encode("utf-8", "replace").decode("utf-8")] = state
    return dict(sorted(found.items()))


def _entries(root: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yields what is in a folder and below, but not hidden, each with its path."""
    folders = [(root, "")]
    while folders:
        folder, prefix = folders.pop()
        for entry in _listed(folder):
            if entry.name.startswith("."):
                continue
            path = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                folders.append((entry.path, f"{path}/"))
            else:
                yield path, entry


def _listed(folder: str) -> Iterator[os.DirEntry[str]]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        yield from entries


def _state(entry: os.DirEntry[str], root: Path) -> State | None:
    """Returns the state of a file; None if it is missing, not a regular file, or a link that leads out of the
    folder."""
    try:
        if entry.is_symlink() and not Path(entry.path).resolve(strict=True).is_relative_to(root):
            return None
        status = entry.stat()
    except (OSError, RuntimeError):
        return None
    return (status.st_mtime_ns, status.st_size) if stat.S_ISREG(status.st_mode) else None
