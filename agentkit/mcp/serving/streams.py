"""Standard input and output for the protocol alone.

What a tool prints, what a library in C writes and what the programs do that a tool starts: their output goes to
standard error, and they find standard input empty.
"""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def protocol_streams() -> Iterator[tuple[int, int]]:
    """Yield descriptors of standard input and output, which no other program inherits. Until the block ends, anything
    else that reads descriptor 0 reads nothing, and what is written to descriptor 1 goes to standard error."""
    before = sys.stdin, sys.stdout
    source, sink = _kept(0, os.O_RDONLY), _kept(1, os.O_WRONLY)
    nowhere = os.open(os.devnull, os.O_RDWR)
    try:
        os.dup2(nowhere, 0)
        os.dup2(2 if _is_open(2) else nowhere, 1)
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()  # what was printed before goes to standard error too
        sys.stdout = sys.stderr
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - closed below
        yield source, sink
    finally:
        if sys.stdin is not before[0]:
            sys.stdin.close()
        sys.stdin, sys.stdout = before
        os.dup2(source, 0)
        os.dup2(sink, 1)
        for each in (source, sink, nowhere):
            os.close(each)


def _kept(descriptor: int, mode: int) -> int:
    try:
        return os.dup(descriptor)
    except OSError:  # the program was started without it
        return os.open(os.devnull, mode)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
