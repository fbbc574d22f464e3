"""What is piped into a command: it goes before the question.

A terminal is not waited for, nor is a pipe that was left open by what started this program (cron, CI, `ssh`, an
orchestrator's `stdin=PIPE`): they never end. A command in a pipeline is waited for, however slow it is.
"""

import os
import select
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from agentkit.cli.streams import text_of_stdin
from agentkit.errors import ConfigurationError

PATIENCE = 3.0
"""Seconds that the first byte of a pipe is waited for when there is a question without it."""
MAX_BYTES = 50_000_000
"""Maximum size of what is piped, in bytes."""

_READ_BYTES = 1 << 16


def piped_text(*, is_wanted: bool) -> str:
    """Return the text of standard input, "" when nothing comes.

    is_wanted: whether it is waited for without limit, at a terminal too. Raises ConfigurationError when it is not a
    text, or too large."""
    return text_of_stdin(piped_bytes(is_wanted=is_wanted))


def piped_bytes(*, is_wanted: bool) -> bytes | str:
    """Return what standard input has: bytes, of a stream of texts a text. See `piped_text`."""
    descriptor = _descriptor()
    if descriptor is None:
        return b"" if _is_terminal() and not is_wanted else _in_memory()
    if not is_wanted and (_is_terminal() or not _is_readable(descriptor)):
        return b""
    if is_wanted and _is_terminal():
        print("type the question, then Ctrl-D in a new line", file=sys.stderr)
    arriving = _Arriving(descriptor)
    if not is_wanted and not _begins(arriving, descriptor):
        print(
            f"agentkit: nothing came through the pipe on standard input within {PATIENCE:g} s: going on without it "
            "('-' waits for it, '< /dev/null' says that there is none)",
            file=sys.stderr,
        )
        return b""
    return arriving.all()


def _begins(arriving: "_Arriving", descriptor: int) -> bool:
    """Whether something comes, or the end: a pipe with nothing in it is waited for as long as a command that is no
    ancestor of this program can write to it."""
    while not arriving.begun.wait(PATIENCE):
        if not _has_other_writers(descriptor):
            return arriving.begun.wait(PATIENCE / 10)  # the last writer may have ended while it was looked for
    return True


class _Arriving:
    """Reads a descriptor in a thread: on Windows nothing else can wait for a pipe, and a thread that waits for one does
    not hold up the end of the program."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pieces: list[bytes] = []
        self._size = 0
        self.begun = threading.Event()
        self._ended = threading.Event()
        threading.Thread(target=self._read, name="agentkit-stdin", daemon=True).start()

    def all(self) -> bytes:
        """Wait for the end and return everything. Raises ConfigurationError when it is too large."""
        while not self._ended.wait(60.0):  # in pieces, so that Ctrl-C is noticed on Windows
            pass
        if self._size > MAX_BYTES:
            raise ConfigurationError(
                f"standard input has more than {MAX_BYTES:,} bytes: give the model a part, or a folder with --docs"
            )
        return b"".join(self._pieces)

    def _read(self) -> None:
        try:
            while self._size <= MAX_BYTES and (piece := _next_piece(self._descriptor)):
                self._pieces.append(piece)
                self._size += len(piece)
                self.begun.set()
        finally:
            self.begun.set()
            self._ended.set()


def _next_piece(descriptor: int) -> bytes:
    """Return what can be read, b"" at the end. A parent may have made the pipe non-blocking."""
    while True:
        try:
            return os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            select.select([descriptor], [], [])
        except OSError:  # a terminal that was closed, a folder
            return b""


def _descriptor() -> int | None:
    try:
        return int(sys.stdin.fileno())
    except (AttributeError, OSError, ValueError):
        return None


def _is_terminal() -> bool:
    try:
        return bool(sys.stdin.isatty())
    except (AttributeError, OSError, ValueError):
        return False


def _is_readable(descriptor: int) -> bool:
    """Whether it is a file, a pipe or a socket: a device is no one's input, and may never end (/dev/zero)."""
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _in_memory() -> bytes | str:
    """What a stream without a descriptor has."""
    stream: Any = getattr(sys.stdin, "buffer", sys.stdin)
    try:
        content = stream.read()
    except (AttributeError, OSError, ValueError):
        return b""
    return content if isinstance(content, bytes | str) else b""


def _has_other_writers(descriptor: int) -> bool:
    """Whether a process can write to a pipe that has not started this one, as the command before it in a pipeline.

    Only Linux tells; elsewhere no process is seen."""
    with suppress(OSError):
        status = os.fstat(descriptor)
        if stat.S_ISFIFO(status.st_mode):
            mine = {os.getpid(), *_ancestors()}
            others = (each for each in Path("/proc").glob("[0-9]*") if int(each.name) not in mine)
            return any(_writes_to(process, f"pipe:[{status.st_ino}]") for process in others)
    return False


def _writes_to(process: Path, pipe: str) -> bool:
    """Whether a pipe is what a process prints to. (A fork of the program that has left it open holds it too, elsewhere;
    a process of another user is not seen.)"""
    for descriptor in ("1", "2"):
        with suppress(OSError):
            if os.readlink(process / "fd" / descriptor) == pipe:
                return True
    return False


def _ancestors() -> Iterator[int]:
    process = os.getppid()
    while process > 1:
        yield process
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()  # the name may contain spaces
        process = int(fields[1])
    yield process
