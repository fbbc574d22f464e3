"""The questions of a batch: read lazily and checked before anything is asked, each an item with an id of its own."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from itertools import islice
from typing import Any, NamedTuple

from agentkit._lazy.records import dataclass
from agentkit.batch.identity import BAD, Gathered, Ids, KnownIds, SeenIds, digest_of, given_id, row_digest, value_digest
from agentkit.batch.item import Item
from agentkit.batch.json_lines import plain_id
from agentkit.batch.openai_lines import is_request, request_of
from agentkit.batch.question_lines import Question, asked_messages, asked_text, id_of, question_of
from agentkit.batch.sources import Source, source_of
from agentkit.batch.tables import table_value
from agentkit.batch.text_lines import Entry, LineError
from agentkit.batch.usual_lines import usual_line, usual_text
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

    Each iteration reads them anew, in the order of the input, after `check`. At a line that can't be asked it raises
    ConfigurationError, unless such lines are skipped: then each is an Item with a `problem`. Lines that were added to
    the file since the check are left out."""

    def __init__(
        self, source: Source, question: str | None, skip_bad: bool, dedup: bool, by_question: bool = False
    ) -> None:
        self.question = question
        self.models: Mapping[str, int] = {}
        self._source = source
        self._skip_bad = skip_bad
        self._dedup = dedup
        self._by_question = by_question
        self._checked: Checked | None = None
        self._known = KnownIds()
        self._asked_again: Set[int] = frozenset()
        self._last_line = 0

    @property
    def name(self) -> str:
        """What the input is called in messages."""
        return self._source.name

    @property
    def is_table(self) -> bool:
        """Whether the questions are the rows of a table, from whatever it is read."""
        return self._source.is_table

    @property
    def has_copies(self) -> bool:
        """Whether there are items with a `same_as`; known after `check`."""
        return bool(self._asked_again)

    def by_lines(self) -> "Items":
        """The same questions, of which those without an id have one that is made from their whole lines."""
        return Items(self._source, self.question, self._skip_bad, self._dedup)

    def check(self) -> Checked:
        """Read all lines, and find those that can't be asked. Raises ConfigurationError for a file that can't be read
        to its end, or has no questions."""
        if self._checked is None:
            seen = SeenIds()
            checked = self._read_all(seen)
            self._known = seen.known()
            if self._known.has_twice:
                checked = self._read_all(Ids(self._known))
            if not checked.total and self._source.is_file:
                raise ConfigurationError(f"{self.name}: has no questions")
            self._checked = checked
        return self._checked

    def _read_all(self, ids: SeenIds | Ids) -> Checked:
        reading = self._reading(ids, self._by_question)
        models: Counter[str] = Counter()
        asked = Gathered()
        bad: list[BadLine] = []
        usual = others = bad_count = last = last_usual = 0

        def is_usual(line: int, content: bytes | str) -> bool:
            nonlocal usual, last_usual
            model = reading.model_of_usual(content)
            if model is None:
                return False
            usual += 1
            last_usual = line
            if model:
                _count_model(model, models)
            return True

        are_usual = self._source.column is None and not (self._dedup or self._by_question)
        for entry in self._source.entries(is_usual if are_usual else None):
            others += 1
            last = entry[0]
            _, question, problem = reading.read(entry)
            if problem:
                bad_count += 1
                if len(bad) < SHOWN_BAD:
                    bad.append(BadLine(last, problem))
                continue
            if question.model:
                _count_model(question.model, models)
            if self._dedup:
                asked.add(_digest_of_question(question))
        self.models, self._last_line = models, max(last, last_usual)
        self._asked_again = asked.repeated()
        return Checked(usual + others, bad, bad_count)

    def __iter__(self) -> Iterator[Item]:
        items = islice(self._all(), self.check().total)
        return self._with_copies(items) if self._dedup else items

    def unanswered(self, is_answered: Callable[[str], bool]) -> Iterator[Item]:
        """The items that are not answered, as an iteration has them, but quicker where most are. is_answered: asked for
        the id of each item, perhaps twice where the answer is False."""
        checked = self.check()
        if self._dedup or self._by_question or checked.bad_count > len(checked.bad):
            return (item for item in self if not is_answered(item.id))
        return self._changed(self._unanswered(is_answered, {each.line for each in checked.bad}))

    def _changed(self, items: Iterator[Item]) -> Iterator[Item]:
        try:
            yield from items
        except LineError as error:
            raise ConfigurationError(f"{self.name}: was changed: a line {error}") from None

    def _unanswered(self, is_answered: Callable[[str], bool], bad: Set[int]) -> Iterator[Item]:
        ids = Ids(self._known)
        reading = self._reading(ids)
        last = self._last_line
        may_repeat = bool(self._known.repeated)

        def is_skipped(line: int, content: bytes | str) -> bool:
            item_id = plain_id(content) if isinstance(content, bytes) else None
            if item_id is None or line in bad or line > last or not is_answered(item_id):
                return False
            if may_repeat:
                ids.take(item_id)
            return True

        for entry in self._source.entries(is_skipped):
            if entry[0] > last:
                return
            if entry[0] in bad or entry[3]:
                item = self._item(entry, *reading.read(entry))
                if not is_answered(item.id):
                    yield item
                continue
            item_id = reading.id_of(entry[1])
            if not is_answered(item_id):
                yield self._item(entry, item_id, *reading.asked(entry[1]))

    def _all(self) -> Iterator[Item]:
        reading = self._reading(Ids(self._known), self._by_question)
        for entry in self._source.entries():
            yield self._item(entry, *reading.read(entry))

    def _reading(self, ids: SeenIds | Ids, by_question: bool = False) -> "_Reading":
        return _Reading(self._source, ids, by_question, is_named=self.question is not None)

    def _item(self, entry: Entry, item_id: str, question: Question, problem: str) -> Item:
        if problem and not self._skip_bad:
            is_new = not self.check().bad_count
            what = f"was changed: line {entry[0]} {problem}" if is_new else f"line {entry[0]}: {problem}"
            raise ConfigurationError(f"{self.name}: {what}")
        if problem:
            return Item(item_id, columns=_columns_of(entry[1]), line=entry[0], problem=problem)
        return Item(item_id, question.prompt, question.messages, question.sampling, question.columns, entry[0])

    def _with_copies(self, items: Iterator[Item]) -> Iterator[Item]:
        """The items; of those that ask the same, all but the first with its id."""
        firsts: dict[int, str] = {}
        for item in items:
            if item.problem:
                yield item
                continue
            digest = _digest_of_question(item)
            if digest not in self._asked_again:
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


def _count_model(name: str, models: Counter[str]) -> None:
    if name in models or len(models) < MAX_MODELS:
        models[name] += 1


_NOTHING = Question(None, None)


class _Reading:
    """Reads entries, from the first to the last. by_question: whether ids are made from what is asked alone. is_named:
    whether the user has named the column with the question."""

    def __init__(self, source: Source, ids: SeenIds | Ids, by_question: bool = False, is_named: bool = False) -> None:
        self._by_question = by_question
        self._is_named = is_named
        self._column = source.column
        self._is_table = source.is_table
        self._digest: Callable[[Any], int] = row_digest if source.is_table else value_digest
        self._ids = ids

    def read(self, entry: Entry) -> tuple[str, Question, str]:
        """The id of an item, what it asks, and why it can't be asked ("" for nothing)."""
        _, value, _, problem = entry
        if not problem:
            try:
                question = self._question(value)
                if question.id is None:
                    digest = _digest_of_question(question) if self._by_question else self._digest(value)
                    return self._ids.make(digest), question, ""
                self._ids.take(question.id)
                return question.id, question, ""
            except LineError as error:
                problem = str(error)
        return self._ids.make(self._digest_of_bad(entry), BAD), _NOTHING, problem

    def model_of_usual(self, content: bytes | str) -> str | None:
        """The model that a line names, "" for none, where it is a `usual_line` or a `usual_text`; None for another,
        which is to be read."""
        found = usual_line(content) if isinstance(content, bytes) else usual_text(content)
        if found is None:
            return None
        item_id, value, model = found
        try:
            if item_id is None:
                self._ids.make(self._digest(value))
            else:
                self._ids.take(item_id)
        except LineError:
            return None
        return model

    def id_of(self, value: Any) -> str:
        """The id of an entry that is known to be a question, without what it asks. Raises LineError."""
        given: object = None
        if isinstance(value, Item):
            given = value.id
        elif isinstance(value, dict):
            given = value.get("custom_id") if self._column is None and is_request(value) else id_of(value)
        if given is None:
            return self._ids.make(self._digest(value))
        item_id = given_id(given)
        self._ids.take(item_id)
        return item_id

    def asked(self, value: Any) -> tuple[Question, str]:
        """What an entry asks, and why it can't be asked."""
        try:
            return self._question(value), ""
        except LineError as error:  # the file was changed since
            return _NOTHING, str(error)

    def _question(self, value: Any) -> Question:
        if type(value) is str:
            return Question(None, asked_text(value, "the text"))
        if self._column is None:
            if is_request(value):
                return request_of(value)
            return _asked_again(value) if isinstance(value, Item) else question_of(value)
        if self._is_table:
            value = table_value(value, self._column)
        if isinstance(value, Item):
            return _asked_again(value)
        return question_of(value, self._column, is_named=self._is_named)

    def _digest_of_bad(self, entry: Entry) -> int:
        """The digest of a line that can't be asked: of its bytes, or of what it says."""
        _, value, content, _ = entry
        if content:
            return digest_of(content.strip())
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
    by_question: bool = False,
) -> Items:
    """The questions of a file or an iterable. Nothing but their beginning is read yet.

    source: a path (.jsonl and .csv, both also with .gz, .parquet, .txt), "-" for standard input, or texts, dicts and
    Items. A line is a JSON text, an object with a question (`QUESTIONS`), or one of OpenAI's batch format; of a .txt
    file a question. question: the field or column with the question. skip_bad: lines that can't be asked are Items with
    a `problem`. dedup: items that ask the same as an earlier one have its id as `same_as`. by_question: the id of a
    line that has none is made from what is asked alone, not from its other fields.

    Raises ConfigurationError: no such file, another format, no such column; MissingExtraError for a parquet file
    without the extra.
    """
    return Items(source_of(source, question), question, skip_bad, dedup, by_question)
