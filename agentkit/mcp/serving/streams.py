"""Standard input and output for the protocol alone.

What a tool prints, what a library in C writes and what the programs do that a tool starts: their output goes to
standard error, and they find standard input empty.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO


@contextlib.contextmanager
def protocol_streams() -> Iterator[tuple[int, int]]:
    """Yield descriptors of standard input and output, which no other program inherits. Until the block ends, anything
    else that reads descriptor 0 reads nothing, and what is written to descriptor 1 goes to standard error."""
    for descriptor in (0, 1, 2):
        _open_if_closed(descriptor)
    before = sys.stdin, sys.stdout
    source, sink, nowhere = os.dup(0), os.dup(1), os.open(os.devnull, os.O_RDWR)
    empty = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - closed below
    try:
        os.dup2(nowhere, 0)
        os.dup2(2, 1)
        _flush(sys.stdout)  # what was printed before goes to standard error too
        sys.stdin, sys.stdout = empty, sys.stderr
        yield source, sink
    finally:
        sys.stdin, sys.stdout = before
        _flush(sys.stdout, sys.__stdout__)  # what was written to them meanwhile, while descriptor 1 leads elsewhere
        empty.close()
        os.dup2(source, 0)
        os.dup2(sink, 1)
        for each in (source, sink, nowhere):
            os.close(each)


def _flush(*streams: TextIO | None) -> None:
    for each in streams:
        if each is not None:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                each.flush()


def _open_if_closed(descriptor: int) -> None:
    """Open a standard stream that the program was started without. Those before it are open, so that it gets its
    number."""
    try:
        os.fstat(descriptor)
    except OSError:
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
