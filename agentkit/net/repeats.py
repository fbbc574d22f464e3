"""Which run of which question the code is in, where one question is asked several times: whoever keeps replies keeps
those of each repeat apart, so that no repeat is answered with the reply of another."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_CURRENT: ContextVar[str] = ContextVar("run_of", default="")


@contextmanager
def run_of(item: str) -> Iterator[None]:
    """What is done in the block, and in the threads of agentkit's that it starts, belongs to the run of this item.

    item: its id; that of the second repeat of ID is ID#2."""
    token = _CURRENT.set(item)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current_run() -> tuple[str, int]:
    """The id of the item whose run this is, and which of its repeats, from 1; ("", 1) outside of any."""
    return split_id(_CURRENT.get())


def split_id(id: str) -> tuple[str, int]:
    """The id of an item without its repeat, and which repeat this is, from 1."""
    name, found, number = id.rpartition("#")
    return (name, int(number)) if found and number.isdecimal() and len(number) < 10 else (id, 1)
