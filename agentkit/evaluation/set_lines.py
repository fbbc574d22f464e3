"""The questions of a set beside the records of answers files: which record is of which question, and what came of
it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from agentkit._text import joined_surrogates
from agentkit.batch.item import Record
from agentkit.batch.journal import read_records
from agentkit.errors import ConfigurationError
from agentkit.evaluation.clusters import Clusters, clusters_of
from agentkit.evaluation.file_ids import FileIds, ids_of_file
from agentkit.evaluation.scores import CHANGED, Outcome, Scorer, columns_of, not_asked
from agentkit.evaluation.sets import ASKED, EvaluationSet, Line
from agentkit.evaluation.thresholds import Threshold


@dataclass
class Lines:
    """The questions of a set, by id. by, cluster: the columns of groups and of clusters. Raises ConfigurationError
    where the set has no such column."""

    of: EvaluationSet
    by: str | None
    cluster: str | None
    lines: dict[str, Line] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = {line.item.id: line for line in self.of.lines()}
        known = dict.fromkeys(name for line in self.lines.values() for name in line.item.columns)
        for name, what in ((self.by, "groups"), (self.cluster, "clusters")):
            if name is not None and name not in known:
                raise ConfigurationError(
                    f"{what} by {name!r}: the set has no such column; it has {', '.join(known) or 'none'}"
                )

    @property
    def clusters(self) -> Clusters:
        """The clusters of the questions."""
        return clusters_of(((item, line.item.columns) for item, line in self.lines.items()), self.cluster)

    @property
    def unchecked(self) -> int:
        """How many questions have no check."""
        return sum(not line.checks and not line.item.problem for line in self.lines.values())

    def expect(self, wanted: Iterable[Threshold]) -> None:
        """Raises ConfigurationError for a threshold of a check that no question has."""
        names = list(dict.fromkeys(check.name for line in self.lines.values() for check in line.checks))
        for each in wanted:
            each.check_name(names)

    @cached_property
    def _former_ids(self) -> Mapping[str, str]:
        return self.of.former_ids()

    def ids_of(self, path: Path | None) -> FileIds:
        """The ids that an answers file has for the questions. Raises ConfigurationError for one that can't be read."""
        if path is None or not path.is_file():
            return FileIds(self.of.split)
        return ids_of_file(path, self.lines, self._former_ids, self.of.split)

    def check_common(self, path: Path, ids: FileIds) -> None:
        """Raises ConfigurationError where a file has an answer to no question of the set."""
        if not any(self.columns(each, ids) is not None for each in read_records(path)):
            raise ConfigurationError(
                f"{path.name} has no answer to a question of {self.of.name}: it is that of another set"
            )

    def columns(self, record: Record, ids: FileIds) -> Mapping[str, Any] | None:
        """The columns of the item of a record as the set has them now; None for one that it has not, or with another
        question."""
        line = self.lines.get(ids.split(str(record.get("id")))[0])
        return None if line is None or _is_changed(line, record) else line.item.columns

    def outcomes(self, records: Iterable[Record], scorer: Scorer, ids: FileIds) -> list[Outcome]:
        """The outcome of each question and repeat, in the order of the set. Raises ConfigurationError for a check that
        could not be made."""
        found: dict[tuple[str, int], Outcome] = {}
        for record in records:
            item, repeat = ids.split(str(record.get("id")))
            if item in self.lines:
                found[item, repeat] = self._outcome(record, scorer, ids) or not_asked(self.lines[item], repeat, CHANGED)
        if scorer.failure is not None:
            raise scorer.failure
        keys = [(line, number) for line in self.lines.values() for number in range(1, self.of.repeat + 1)]
        return [found.get((line.item.id, number)) or not_asked(line, number) for line, number in keys]

    def outcomes_of_file(self, path: Path, scorer: Scorer, ids: FileIds) -> list[Outcome]:
        """The outcomes that an answers file of an earlier evaluation has, in the order of the set: neither a question
        nor a repeat that it lacks was wrong in it. Raises ConfigurationError, also where it has no question of the
        set."""
        self.check_common(path, ids)
        found: dict[str, list[Outcome]] = {}
        for record in read_records(path):
            outcome = self._outcome(record, scorer, ids)
            if outcome is not None:
                found.setdefault(outcome.item, []).append(outcome)
        if scorer.failure is not None:
            raise ConfigurationError(f"{path.name}: {scorer.failure}")
        return [each for item in self.lines for each in found.get(item, ())]

    def _outcome(self, record: Record, scorer: Scorer, ids: FileIds) -> Outcome | None:
        columns = self.columns(record, ids)
        if columns is None:
            return None
        item, repeat = ids.split(str(record.get("id")))
        outcome = scorer.outcome({**record, "item": columns})
        return replace(outcome, item=item, repeat=repeat, name=ids.name_of(item))


def _is_changed(line: Line, record: Record) -> bool:
    """Whether the question of a line is another than that of a record, as far as the record has it."""
    asked = columns_of(record).get(ASKED)
    now = str(line.item.columns.get(ASKED) or "")
    return isinstance(asked, str) and bool(asked) and bool(now) and joined_surrogates(now) != joined_surrogates(asked)
