"""Which run of which question the code is in, where one question is asked several times: whoever keeps replies keeps
those of each repeat apart, so that no repeat is answered with the reply of another."""

from contextlib import AbstractContextManager
from contextvars import ContextVar, Token

_CURRENT: ContextVar[str] = ContextVar("run_of", default="")


class _RunOf:
    """See `run_of`. A class, as each item of a batch is within one, and a generator takes three times as long."""

    def __init__(self, item: str) -> None:
        self._item = item
        self._before: Token[str]

    def __enter__(self) -> None:
        self._before = _CURRENT.set(self._item)

    def __exit__(self, *error: object) -> None:
        _CURRENT.reset(self._before)


def run_of(item: str) -> AbstractContextManager[None]:
    """What is done in the block, and in the threads of agentkit's that it starts, belongs to the run of this item.

    item: its id; that of the second repeat of ID is ID#2."""
    return _RunOf(item)


def current_run() -> tuple[str, int]:
    """The id of the item whose run this is, and which of its repeats, from 1; ("", 1) outside of any."""
    return split_id(_CURRENT.get())


def split_id(id: str) -> tuple[str, int]:
    """The id of an item without its repeat, and which repeat this is, from 1."""
    name, found, number = id.rpartition("#")
    return (name, int(number)) if found and number.isdecimal() and len(number) < 10 else (id, 1)


def joined_id(item: str, repeat: int) -> str:
    """The id of a repeat of an item: that of the first is the item's own, that of the second ID#2."""
    return item if repeat == 1 else f"{item}#{repeat}"
