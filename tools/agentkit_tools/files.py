"""Which files of a folder are documents, and whether they changed."""

import contextlib
import os
import stat
from collections.abc import Container, Iterable
from pathlib import Path

State = tuple[int, int]
"""When a file was last changed (nanoseconds) and its size (bytes)."""


def files_below(root: Path, endings: Container[str]) -> dict[str, State]:
    """Returns the state of each document below a folder, by its path in it with "/"; those in hidden folders, and those
    that a link leads out of the folder to, are left out. Bytes of a name that are no UTF-8 are "?" in the path."""
    found: dict[str, State] = {}
    folders = [(str(root), "")]
    while folders:
        folder, prefix = folders.pop()
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            folders += _read_folder(entries, prefix, root, endings, found)
    return found


def _read_folder(
    entries: Iterable[os.DirEntry[str]], prefix: str, root: Path, endings: Container[str], found: dict[str, State]
) -> list[tuple[str, str]]:
    """Add the documents of one folder; returns the folders in it. One loop, since a search waits for it."""
    folders = []
    for entry in entries:
        name = entry.name
        if name[0] == ".":
            continue
        ending = name[name.rfind(".") :]
        if entry.is_dir(follow_symlinks=False):
            folders.append((entry.path, f"{prefix}{name}/"))
        elif (ending in endings or ending.lower() in endings) and (state := _state(entry, root)) is not None:
            path = prefix + name
            found[path if path.isascii() else path.encode("utf-8", "replace").decode("utf-8")] = state
    return folders


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
