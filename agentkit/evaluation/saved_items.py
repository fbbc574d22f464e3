"""The questions of an answers file, as a set: which there are, and how often each was asked."""

from collections.abc import Iterator
from pathlib import Path

from agentkit.batch.item import Item
from agentkit.batch.journal import read_records
from agentkit.evaluation.scores import columns_of
from agentkit.evaluation.sets import ASKED, Split
from agentkit.net.repeats import joined_id, split_id


def repeats_in(path: Path) -> int:
    """How often the questions of an answers file were asked. 1 where ids such as "ticket#41" name no repeats: those of
    ID are ID#2, ID#3, ..., which are asked with it, one after the other."""
    items: dict[bool, set[str]] = {True: set(), False: set()}  # asked for the first time: True
    numbers = {1}
    for record in read_records(path):
        id_ = str(record.get("id"))
        item, number = split_id(id_)
        if item != id_ and ("#" in item or number < 2 or id_ != joined_id(item, number)):
            return 1
        items[item == id_].add(item)
        numbers.add(number)
    are_repeats = not items[True].isdisjoint(items[False]) and max(numbers) <= 2 * len(numbers)
    return max(numbers) if are_repeats else 1


def whole_id(id_: str) -> tuple[str, int]:
    """An id that names no repeat."""
    return id_, 1


def items_of(path: Path, split: Split) -> Iterator[Item]:
    """The questions of an answers file, each once, with its columns."""
    seen: set[str] = set()
    for record in read_records(path):
        item, _ = split(str(record.get("id")))
        if item not in seen:
            seen.add(item)
            columns = columns_of(record)
            yield Item(item, prompt=str(columns.get(ASKED) or "?"), columns=columns)
