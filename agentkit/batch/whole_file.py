"""A file that is written as a whole, or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, BinaryIO, cast

from agentkit.batch.temporary_files import temporary_files
from agentkit.errors import ConfigurationError

Out = str | os.PathLike[str] | BinaryIO
"""Where something is written: the name of a file, or what takes bytes, such as `sys.stdout.buffer`."""

IN_ITS_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY)
"""Errors of a file that can't be replaced, but may be written to: its folder belongs to somebody else, or a container
has it mounted."""


@contextmanager
def whole_file(out: Out, source: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """What takes the place of the file at `out`, with its permissions, when the block has ended without an error. A
    pipe, a device or what takes bytes stays what it is, and gets all of it then; so does a file that can't be replaced,
    of which a part is left where the disk is full. source: what is read meanwhile, which can't be the same file. Raises
    ConfigurationError when it can't be written."""
    if not isinstance(out, str | os.PathLike):
        with _passed_on(lambda: nullcontext(out)) as file:
            yield file
        return
    given, path = _checked(out, source)
    try:
        with _passed_on(lambda: open(given, "ab")) if _stays(given) else _replaced(path) as file:
            yield file
    except OSError as error:
        raise ConfigurationError(f"{given} can't be written: {error.strerror or error}") from None


def _checked(out: str | os.PathLike[str], source: str | os.PathLike[str]) -> tuple[str, Path]:
    """The name that was given, and the path of the file, behind symbolic links. Raises ConfigurationError."""
    given = os.fsdecode(out)
    path = Path(os.path.realpath(given)) if "\0" not in given else None
    if path is None or not given.strip() or path.is_dir():
        raise ConfigurationError(f"{given!r} is not the name of a file: give one that can be written")
    if path.exists() and os.path.exists(source) and os.path.samefile(path, source):
        raise ConfigurationError(f"{given} has what is to be read: give another name for what is written")
    return given, path


def _stays(given: str) -> bool:
    """Whether a name stands for what is no file, or for what this process has open."""
    name = os.path.abspath(given)
    is_open = name in ("/dev/stdout", "/dev/stderr") or name.startswith(("/dev/fd/", "/proc/"))
    return os.path.exists(given) and (is_open or not os.path.isfile(given))


@contextmanager
def _passed_on(opened: Callable[[], AbstractContextManager[BinaryIO]]) -> Iterator[BinaryIO]:
    """A file whose content is written to what is opened then, when the block has ended without an error."""
    with ExitStack() as closing:
        with temporary_files():
            file = tempfile.TemporaryFile()  # noqa: SIM115 - closed below, where what has no room is tried once more
            closing.callback(_closed, file)
            yield cast(BinaryIO, file)
            file.seek(0)
        with opened() as place:
            shutil.copyfileobj(file, place)


def _closed(file: IO[bytes]) -> None:
    with suppress(OSError):
        file.close()


@contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    """A file that is moved to a path when the block has ended without an error."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        file = open(temporary, "xb")  # noqa: SIM115 - see below
    except OSError as error:
        if error.errno not in IN_ITS_PLACE or not path.is_file():
            raise
        with _passed_on(lambda: open(path, "wb")) as kept:
            yield kept
        return
    try:
        with file:
            yield file
        _move(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _move(temporary: Path, path: Path) -> None:
    with suppress(OSError):
        shutil.copymode(path, temporary)
    try:
        os.replace(temporary, path)
    except OSError as error:
        if error.errno not in IN_ITS_PLACE:
            raise
        shutil.copyfile(temporary, path)
