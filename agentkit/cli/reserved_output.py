"""Keeps standard output for the answer alone, whatever the tools of a run print."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from agentkit.cli.unread_output import UnreadOutput


@contextmanager
def reserved_output(*, stops: bool = False) -> Iterator[TextIO]:
    """Yield standard output. Until the block ends, what anything else prints there (a tool, a program that it starts, a
    library in C) goes to standard error. stops: see `UnreadOutput`."""
    before = sys.stdout
    if not _is_descriptor_1(before):
        sys.stdout = sys.stderr
        try:
            yield before
        finally:
            sys.stdout = before
        return
    _flush(before, sys.__stdout__)
    kept = os.dup(1)
    answers = io.TextIOWrapper(
        io.BufferedWriter(UnreadOutput(kept, closes=True, stops=stops)),
        encoding=before.encoding,
        errors=before.errors or "replace",
        line_buffering=before.isatty(),
    )
    try:
        _lead_to_stderr()
        sys.stdout = sys.stderr
        yield answers
        answers.flush()
    finally:
        sys.stdout = before
        _flush(before, sys.__stdout__)  # what was written to them meanwhile, while descriptor 1 leads elsewhere
        os.dup2(kept, 1)
        with suppress(OSError):
            answers.close()


def _flush(*streams: TextIO | None) -> None:
    for stream in streams:
        with suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()


def _is_descriptor_1(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 1
    except (AttributeError, OSError, ValueError):
        return False


def _lead_to_stderr() -> None:
    try:
        os.dup2(2, 1)
    except OSError:  # there is no standard error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
