"""The set of an evaluation: the questions of a batch, what is expected of each answer, and how often each is asked."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from agentkit._text import in_a_line
from agentkit.batch.item import Item
from agentkit.batch.items import open_items
from agentkit.errors import ConfigurationError
from agentkit.evaluation.checks import Check, Known, parse_check
from agentkit.message import Message, text_of
from agentkit.net.repeats import joined_id, split_id

QUESTION = 20_000
"""Characters of a question that a record keeps, beside the columns of its line: a judge reads it."""
PROBLEMS = 20
"""How many problems of a set are told."""
CHECKS, ANSWER, ASKED = "checks", "answer", "question"
"""Columns: the checks of a line, the right answer, and in a record the text of the question."""

OF_TEXTS = frozenset(("exact", "contains", "lacks", "f1", "number", "choice", "judge"))
"""Checks that compare with one of several right answers."""

Source = str | Path | Iterable[Any]
Spec = str | Mapping[str, Any] | Check
Split = Callable[[str], tuple[str, int]]
"""What item and which of its repeats an id names."""


@dataclass(frozen=True)
class Line:
    """An item of a set, with what an answer is checked for. problem: why it can't be asked; "" for none."""

    item: Item
    checks: tuple[Check, ...]
    problem: str = ""


class Checks:
    """The checks of lines; those of equal lines are made once. given: those of all lines. known: what they may name.

    A line may have several of one name: its answer has the worst of their scores."""

    def __init__(self, given: Iterable[Spec], known: Known) -> None:
        listed = [given] if isinstance(given, str | Mapping | Check) else list(given)
        self._known = known
        self._given = [each for each in listed if not isinstance(each, Check)]
        self._ready = [each for each in listed if isinstance(each, Check)]
        self._made: dict[str, tuple[Check, ...]] = {}
        self.of({})

    def of(self, columns: Mapping[str, Any]) -> tuple[Check, ...]:
        """The checks of a line with these columns: its own, then those of all. Raises ConfigurationError."""
        own = columns.get(CHECKS)
        if isinstance(own, str) and own.lstrip()[:1] in "[{":  # in a table, or nothing
            own = _json(own) if own.strip() else None
        specs = [] if own is None else list(own) if isinstance(own, list | tuple) else [own]
        key = json.dumps(specs, sort_keys=True, ensure_ascii=False, default=repr)
        if key not in self._made:
            made = (parse_check(each, known=self._known) for each in [*specs, *self._given])
            self._made[key] = (*made, *self._ready)
        return self._made[key]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigurationError(f'"checks" is no JSON: {in_a_line(text, 60)}') from None


class EvaluationSet:
    """The questions of a set, each asked `repeat` times; iterating gives the items of its batch, each time anew. One
    without an id is known by what is asked, whatever its line says of the answer.

    source: a file or an iterable, as `agentkit.batch.items.open_items` takes it. question, answer: the columns of the
    question and of the right answer. checks: those of all lines. known: what checks may name. split: the item and the
    repeat that an id names. Raises ConfigurationError for a source that can't be read and checks that can't be made.
    """

    def __init__(
        self,
        source: Source,
        *,
        question: str | None = None,
        answer: str | None = None,
        checks: Iterable[Spec] = (),
        known: Known | None = None,
        repeat: int = 1,
        skip_bad: bool = False,
        split: Split = split_id,
    ) -> None:
        if isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 1:
            raise ConfigurationError(f"repeat={repeat!r}: use a whole number from 1 on")
        self.name = Path(source).name if isinstance(source, str | Path) else "questions"
        self.repeat = repeat
        self.split = split
        self.checks = Checks(checks, known or Known())
        self._skip_bad = skip_bad
        self._answer = answer or ANSWER
        self._items = open_items(source, question=question, skip_bad=skip_bad, by_question=True)

    def check(self) -> None:
        """Read the set as a whole. Raises ConfigurationError, with the number of each line, for lines that can't be
        asked, checks that can't be made, and checks of an answer that the line has not."""
        read = self._items.check()
        problems = [] if self._skip_bad else [f"line {bad.line}: {bad.reason}" for bad in read.bad[:PROBLEMS]]
        count = 0 if self._skip_bad else read.bad_count
        has_checks = False
        for line in self.lines() if not problems else ():
            has_checks = has_checks or bool(line.checks)
            found = _problem(line, self._answer)
            if found:
                count += 1
                problems += [f"line {line.item.line}: {found}"] if len(problems) < PROBLEMS else []
        if problems:
            more = f"\nand {count - len(problems)} more" if count > len(problems) else ""
            raise ConfigurationError(f"{self.name}:\n" + "\n".join(problems) + more)
        if not read.total:
            raise ConfigurationError(f"{self.name} has no question")
        if not has_checks:
            raise ConfigurationError(
                f'{self.name} says of no answer what is right: give its lines "checks", or --check for all of them'
            )

    def lines(self) -> Iterator[Line]:
        """Each question once, with its checks."""
        for item in self._items:
            if item.problem:
                yield Line(item, ())
                continue
            right = {} if self._answer == ANSWER else {ANSWER: item.columns.get(self._answer)}
            kept = replace(item, columns={**item.columns, **right, ASKED: _question(item)})
            if "#" in item.id and self.split is split_id:
                yield Line(kept, (), f"the id {in_a_line(item.id, 60)!r} has a #, which is what repeats are named with")
                continue
            try:
                checks = self.checks.of(item.columns)
            except ConfigurationError as error:
                yield Line(kept, (), str(error))
                continue
            yield Line(_with_answers(kept, checks) if self._items.is_table else kept, checks)

    def __iter__(self) -> Iterator[Item]:
        for line in self.lines():
            yield line.item
            for number in range(2, self.repeat + 1):
                yield replace(line.item, id=joined_id(line.item.id, number))

    def former_ids(self) -> dict[str, str]:
        """The ids that are made from whole lines, as earlier versions did and `agentkit batch` does, by those of the
        set where these are others."""
        pairs = zip(self._items, self._items.by_lines(), strict=True)
        return {item.id: former.id for item, former in pairs if item.id != former.id}

    def needs(self) -> tuple[str, ...]:
        """The fields of records that the checks read, and that are kept only if they are asked for."""
        return tuple(sorted({field for line in self.lines() for check in line.checks for field in check.needs}))


def _with_answers(item: Item, checks: Iterable[Check]) -> Item:
    """An item of a table, whose cells are texts: several right answers are written as a JSON list of texts. `[1, 2]` is
    a right answer that is itself a list."""
    written = item.columns.get(ANSWER)
    if not isinstance(written, str) or written[:1] != "[" or not all(check.kind in OF_TEXTS for check in checks):
        return item
    try:
        answers = json.loads(written)
    except (ValueError, RecursionError):
        return item
    is_list = isinstance(answers, list) and answers and all(isinstance(each, str) for each in answers)
    return replace(item, columns={**item.columns, ANSWER: answers}) if is_list else item


def _problem(line: Line, answer: str) -> str:
    """Why a line can't be asked or checked; "" for nothing. answer: the column of the right answer."""
    columns = line.item.columns
    for check in line.checks:
        try:
            check.accept(columns.get(ANSWER), columns)
        except ConfigurationError as error:
            is_there = check.reads != ANSWER or columns.get(ANSWER) is not None
            return str(error) if is_there else f"check {check.name}: {_no_answer(columns, answer)}"
    return line.problem


def _no_answer(columns: Mapping[str, Any], answer: str) -> str:
    others = [in_a_line(str(name), 40) for name in columns if name not in (answer, ANSWER, ASKED, CHECKS)]
    what = f"the column {answer!r} is null" if answer in columns else f"the line has no column {answer!r}"
    if not others:
        return f"{what}, and so no right answer"
    return f"{what}: if another one has the right answer ({', '.join(others[:8])}), name it (--answer, answer=)"


def _question(item: Item) -> str:
    if item.prompt is not None:
        return item.prompt[:QUESTION]
    last = next((each for each in reversed(item.messages) if each.get("role") == "user"), None)
    return text_of(cast(Message, last))[:QUESTION] if last is not None else ""
