"""What an answers file calls the questions of a set that have no ids of their own.

Their ids are made from what is asked. Earlier versions made them from the whole line, as `agentkit batch` does, so that
a question became another one when its right answer was mended. A file that has such ids keeps them: notes and sessions
of runs that were in progress are known by them, too.
"""

import os
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from agentkit._text import joined_surrogates
from agentkit.batch.begun import Begun
from agentkit.batch.item import Item
from agentkit.batch.journal import read_records
from agentkit.evaluation.scores import columns_of
from agentkit.evaluation.sets import ASKED, QUESTION, Line, Split
from agentkit.net.repeats import joined_id, split_id

_MADE = re.compile(r"q-[0-9a-f]{16}(?:-\d{1,9})?")


@dataclass(frozen=True)
class FileIds:
    """The ids that a file has for questions of a set. names: by the id in the set, where that is another. split_by: the
    item and the repeat that an id names."""

    split_by: Split = split_id
    names: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _items(self) -> Mapping[str, str]:
        return {name: item for item, name in self.names.items()}

    def split(self, id_: str) -> tuple[str, int]:
        """The id in the set, and the repeat, of which a record of the file is."""
        item, repeat = self.split_by(id_)
        return self._items.get(item, item), repeat

    def name_of(self, item: str) -> str:
        """What the file calls a question; "" where that is its id in the set."""
        return self.names.get(item, "")

    def named(self, items: Iterable[Item]) -> Iterable[Item]:
        """Items with the ids that the file has for them."""
        return _Named(items, self) if self.names else items


@dataclass(frozen=True)
class _Named:
    items: Iterable[Item]
    ids: FileIds

    def __iter__(self) -> Iterator[Item]:
        for item in self.items:
            id_, repeat = split_id(item.id)
            name = self.ids.name_of(id_)
            yield replace(item, id=joined_id(name, repeat)) if name else item


def ids_of_file(path: Path, lines: Mapping[str, Line], former: Mapping[str, str], split: Split) -> FileIds:
    """The ids that a file has for the questions of a set. lines: those of the set, by id. former: the ids that are made
    from whole lines, by those of the set. Raises ConfigurationError for a file that can't be read."""
    asked = _asked_in(path, split) if former else {}
    others = set(former.values())
    if not asked or not asked.keys().isdisjoint(former.keys() - others):
        return FileIds(split)
    names = {id_: name for id_, name in former.items() if name in asked}
    strays = defaultdict[str, deque[str]](deque)
    for name, text in asked.items():
        if text and name not in others and name not in lines and _MADE.fullmatch(name):
            strays[text].append(name)
    for id_ in former:
        text = "" if id_ in names else _text_of(lines[id_].item)
        if strays.get(text):  # its answer, or another field, was changed
            names[id_] = strays[text].popleft()
    return FileIds(split, {**former, **names} if names else {})


def _asked_in(path: Path, split: Split) -> dict[str, str]:
    """The texts of the questions of a file by its ids, "" where it does not have them; with those that were begun."""
    asked: dict[str, str] = {}
    for record in read_records(path):
        text = columns_of(record).get(ASKED)
        asked.setdefault(split(str(record.get("id")))[0], joined_surrogates(text) if isinstance(text, str) else "")
    with suppress(OSError):  # of a file that is only compared with, the notes may be another user's
        for id_ in Begun(Path(f"{os.path.realpath(path)}.state") / "begun").notes:
            asked.setdefault(split(id_)[0], "")
    return asked


def _text_of(item: Item) -> str:
    """What is asked, where that is nothing but a text that records keep whole; else ""."""
    is_text = item.prompt is not None and not item.sampling and len(item.prompt) < QUESTION
    return joined_surrogates(item.prompt or "") if is_text else ""
