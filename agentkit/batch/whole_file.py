"""A file that is written as a whole, or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from agentkit.errors import ConfigurationError


@contextmanager
def whole_file(out: str | os.PathLike[str], source: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file that takes the place of the one at `out` when the block has ended without an error. source: what is read
    meanwhile, which can't be the same file. Raises ConfigurationError when it can't be written."""
    given = os.fsdecode(out)
    path = Path(os.path.realpath(given)) if "\0" not in given else None
    if path is None or not given.strip() or path.is_dir():
        raise ConfigurationError(f"{given!r} is not the name of a file: give one that can be written")
    if path.exists() and os.path.exists(source) and os.path.samefile(path, source):
        raise ConfigurationError(f"{given} has what is to be read: give another name for what is written")
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with open(temporary, "xb") as file:
            yield file
        os.replace(temporary, path)
    except OSError as error:
        raise ConfigurationError(f"{given} can't be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
