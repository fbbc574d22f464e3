"""Standard output whose reader may leave before the end: `agentkit tools | head -1`.

That is no failure of the command. What is written afterwards is dropped, and the command goes on to its own exit code,
whatever it is: whether the reader leaves before the first write or after the last one is chance.
"""

import io
import os
from contextlib import suppress
from typing import Any, TextIO


class ReaderLeftError(BrokenPipeError):
    """Nobody reads standard output any more, and the command works for its reader alone: it ends, well."""


class UnreadOutput(io.FileIO):
    """A descriptor that is written to. What nobody reads any more is dropped. stops: the first such write raises
    ReaderLeftError, for a command that would go on working for its reader."""

    def __init__(self, descriptor: int, *, closes: bool, stops: bool = False) -> None:
        super().__init__(descriptor, "w", closefd=closes)
        self._stops = stops

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError as error:
            lead_nowhere(self)
            if self._stops:
                raise ReaderLeftError(*error.args) from None
            return memoryview(data).nbytes


def dropping_unread(stdout: io.TextIOWrapper) -> TextIO:
    """A stream in the place of standard output, on its descriptor, that drops what nobody reads any more. A terminal,
    and a stream of another program, stay as they are."""
    try:
        if stdout.fileno() != 1 or stdout.isatty():
            return stdout
        stdout.flush()
    except (OSError, ValueError):
        return stdout
    raw = UnreadOutput(1, closes=False)
    is_unbuffered = isinstance(stdout.buffer, io.RawIOBase)  # PYTHONUNBUFFERED, python -u
    return io.TextIOWrapper(
        raw if is_unbuffered else io.BufferedWriter(raw),
        encoding=stdout.encoding,
        errors="replace",
        line_buffering=stdout.line_buffering,
        write_through=stdout.write_through,
    )


def lead_nowhere(stream: Any) -> None:
    """Have the descriptor of a stream lead to the null device, so that the interpreter reports no error at its end."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
