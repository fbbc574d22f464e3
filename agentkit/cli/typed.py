"""The messages that somebody types, or pipes in, one after the other: a line each, or a block in quotation marks."""

import sys
from typing import NamedTuple

QUOTES = '"""'


class Typed(NamedTuple):
    """A message. is_block: whether it was in quotation marks, so that it is no command."""

    text: str
    is_block: bool = False


def next_typed() -> Typed:
    """Read the next message. Raises EOFError at the end of the input; KeyboardInterrupt also within a block."""
    line = _line("> ").removeprefix("\ufeff")
    begin = line.lstrip()
    if not begin.startswith(QUOTES):
        return Typed(line)
    lines = [begin.removeprefix(QUOTES)]
    while not lines[-1].rstrip().endswith(QUOTES):
        try:
            lines.append(_line("... "))
        except EOFError:
            return Typed("\n".join(lines).strip("\n"), is_block=True)
    lines[-1] = lines[-1].rstrip().removesuffix(QUOTES)
    return Typed("\n".join(lines).strip("\n"), is_block=True)


def _line(prompt: str) -> str:
    return input(prompt if sys.stdin.isatty() else "")
