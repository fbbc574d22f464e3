"""Files that are replaced as a whole: a program that is killed leaves the old one or the new one, and nothing else."""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, content: bytes, *, lasts: bool = True) -> None:
    """Write a file, with permissions for its owner only. lasts: whether it has to outlast a power cut. Raises OSError;
    then the old one stays."""
    temporary = path.with_name(f"{path.name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    if not lasts:
        os.replace(temporary, path)
        return
    move_into_place(temporary, path)


def move_into_place(temporary: Path, path: Path) -> None:
    """Have a file that was written, on the same file system, take the place of another. Raises OSError."""
    with open(temporary, "rb+") as file:
        synced(os.fsync, file.fileno())
    os.replace(temporary, path)
    sync_folder(path.parent)


def synced(sync: Callable[[int], None], handle: int) -> None:
    """Have a file reach the disk, where its file system can do that. Raises OSError when it does not."""
    try:
        sync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP):
            raise


def sync_folder(path: Path) -> None:
    """Have the names in a folder reach the disk, where the system can do that."""
    with suppress(OSError):  # Windows can't open a folder, some network file systems can't sync one
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
