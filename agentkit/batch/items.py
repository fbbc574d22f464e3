"""The questions of a batch: read lazily and checked before anything is asked, each an item with an id of its own."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from agentkit._lazy.records import dataclass
from agentkit.batch.identity import BAD, Counts, Ids, digest_of, given_id, row_digest, value_digest
from agentkit.batch.item import Item
from agentkit.batch.openai_lines import is_request, request_of
from agentkit.batch.question_lines import Question, asked_messages, asked_text, question_of
from agentkit.batch.sources import Source, source_of
from agentkit.batch.tables import table_value
from agentkit.batch.text_lines import Entry, LineError
from agentkit.errors import ConfigurationError

SHOWN_BAD = 100
"""How many of the lines that can't be asked are named."""
MAX_MODELS = 20
"""How many names of models are noted."""


class BadLine(NamedTuple):
    """A line that can't be asked. line: its number, counted from 1. reason: the end of a sentence."""

    line: int
    reason: str


@dataclass(frozen=True)
class Checked:
    """What all lines were found to be. total: the number of items. bad: the first `SHOWN_BAD` lines that can't be
    asked. bad_count: the number of all of them."""

    total: int
    bad: list[BadLine]
    bad_count: int


class Items:
    """The questions of a batch. See `open_items`. question: the field or column that the questions stand in, as it was
    given. models: the names of models in lines of OpenAI's batch format, and how many lines have each; known after
    `check`.

    Each iteration reads them anew, and in the order of the input. It raises ConfigurationError at a line that can't be
    asked, unless it skips them: then such a line is an Item with a `problem`. After `check`, lines that were added to
    the file since are left out."""

    def __init__(self, source: Source, question: str | None, skip_bad: bool, dedup: bool) -> None:
        self.question = question
        self.models: Mapping[str, int] = {}
        self._source = source
        self._skip_bad = skip_bad
        self._dedup = dedup
        self._checked: Checked | None = None
        self._asked = Counts()

    @property
    def name(self) -> str:
        """What the input is called in messages."""
        return self._source.name

    def check(self) -> Checked:
        """Read all lines, and find those that can't be asked. Raises ConfigurationError for a file that can't be read
        to its end, or has no questions."""
        if self._checked is not None:
            return self._checked
        reading = _Reading(self._source)
        models: Counter[str] = Counter()
        bad: list[BadLine] = []
        total = bad_count = 0
        for entry in self._source.entries():
            total += 1
            _, question, problem = reading.read(entry)
            if problem:
                bad_count += 1
                if len(bad) < SHOWN_BAD:
                    bad.append(BadLine(entry.line, problem))
            elif question.model and (question.model in models or len(models) < MAX_MODELS):
                models[question.model] += 1
            if self._dedup and not problem:
                self._asked.add(_digest_of_question(question))
        if not total and self._source.is_file:
            raise ConfigurationError(f"{self.name}: has no questions")
        self.models = models
        self._checked = Checked(total, bad, bad_count)
        return self._checked

    def __iter__(self) -> Iterator[Item]:
        if self._dedup:
            self.check()
        items = self._all()
        if self._checked is not None:
            items = islice(items, self._checked.total)
        return self._with_copies(items) if self._dedup else items

    def _all(self) -> Iterator[Item]:
        reading = _Reading(self._source, 0 if self._checked is None else self._checked.total)
        for entry in self._source.entries():
            item_id, question, problem = reading.read(entry)
            if problem and not self._skip_bad:
                raise ConfigurationError(f"{self.name}: line {entry.line}: {problem}")
            if problem:
                yield Item(item_id, columns=_columns_of(entry.value), line=entry.line, problem=problem)
                continue
            _, prompt, messages, sampling, columns, _ = question
            yield Item(item_id, prompt, messages, sampling, columns, entry.line)

    def _with_copies(self, items: Iterator[Item]) -> Iterator[Item]:
        """The items; of those that ask the same, all but the first with its id."""
        firsts: dict[int, str] = {}
        for item in items:
            if item.problem:
                yield item
                continue
            digest = _digest_of_question(item)
            if not self._asked.is_repeated(digest):
                yield item
                continue
            first = firsts.setdefault(digest, item.id)
            yield item if first == item.id else Item(**{**vars(item), "same_as": first})

    def close(self) -> None:
        """Remove the temporary file of standard input or an iterator. It is removed with the last reference too."""
        self._source.close()

    def __enter__(self) -> "Items":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_NOTHING = Question(None, None)


class _Reading:
    """Reads entries, from the first to the last. expected: how many there will be, if that is known."""

    def __init__(self, source: Source, expected: int = 0) -> None:
        self._column = source.column
        self._is_table = source.is_table
        self._ids = Ids(expected)

    def read(self, entry: Entry) -> tuple[str, Question, str]:
        """The id of an item, what it asks, and why it can't be asked ("" for nothing)."""
        problem = entry.problem
        if not problem:
            try:
                question = self._question(entry.value)
                return self._id(entry.value, question), question, ""
            except LineError as error:
                problem = str(error)
        return self._ids.make(self._digest_of_bad(entry), BAD), _NOTHING, problem

    def _question(self, value: Any) -> Question:
        if isinstance(value, Item):
            return _asked_again(value)
        if self._is_table:
            assert self._column is not None
            return question_of(table_value(value, self._column), self._column)
        if self._column is None and is_request(value):
            return request_of(value)
        return question_of(value, self._column)

    def _id(self, value: object, question: Question) -> str:
        if question.id is None:
            return self._ids.make(self._digest(value))
        self._ids.take(question.id)
        return question.id

    def _digest(self, value: Any) -> int:
        return row_digest(value) if self._is_table else value_digest(value)

    def _digest_of_bad(self, entry: Entry) -> int:
        """The digest of a line that can't be asked: of its bytes, or of what it says."""
        if entry.content:
            return digest_of(entry.content.strip())
        value = entry.value
        try:
            return self._digest(value.as_json() if isinstance(value, Item) else value)
        except LineError:
            return digest_of(repr(type(value)).encode())


def _asked_again(item: Item) -> Question:
    """What an Item asks that a program has made. Raises LineError."""
    if item.problem:
        raise LineError(item.problem)
    messages = asked_messages(list(item.messages)) if item.prompt is None else item.messages
    prompt = None if item.prompt is None else asked_text(item.prompt, "its prompt")
    return Question(given_id(item.id), prompt, messages, item.sampling, item.columns)


def _columns_of(value: object) -> Mapping[str, Any]:
    """What comes back with the record of a line that can't be asked: an object as it is."""
    if isinstance(value, Item):
        return value.columns
    return value if isinstance(value, Mapping) else {}


def _digest_of_question(asked: Question | Item) -> int:
    """The digest of all that a model server is asked."""
    if asked.prompt is not None and not asked.messages and not asked.sampling:
        return value_digest(asked.prompt)
    return value_digest([asked.prompt, list(asked.messages), dict(asked.sampling)])


def open_items(
    source: str | os.PathLike[str] | Iterable[Any],
    *,
    question: str | None = None,
    skip_bad: bool = False,
    dedup: bool = False,
) -> Items:
    """The questions of a file or an iterable. Nothing but their beginning is read yet.

    source: a path (.jsonl and .csv, both also with .gz, .parquet, .txt), "-" for standard input, or texts, dicts and
    Items. A line is a JSON text, an object with a question (`QUESTIONS`), or one of OpenAI's batch format; of a .txt
    file a question. question: the field or column with the question. skip_bad: lines that can't be asked are Items with
    a `problem`. dedup: items that ask the same as an earlier one have its id as `same_as`.

    Raises ConfigurationError: no such file, another format, no such column; MissingExtraError for a parquet file
    without the extra.
    """
    return Items(source_of(source, question), question, skip_bad, dedup)
