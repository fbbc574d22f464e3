"""What the scores of many answers say together: of each check a mean, how sure it is, and of how many items."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit._text import in_a_line
from agentkit.batch.item import Record
from agentkit.errors import ConfigurationError
from agentkit.evaluation.clusters import NONE, Clusters, count_of, difference_in, interval_of
from agentkit.evaluation.score import CheckError, Score
from agentkit.evaluation.statistics import (
    Difference,
    mean_of,
    pass_all,
    pass_at,
)

FEW = 20
"""Of fewer items it is said that they are few."""
REPEAT = "#"
"""Stands between the id of an item and the number of its repeat: "capital-3#2"."""
MOST_GROUPS = 200


@dataclass(frozen=True)
class Repeats:
    """What the runs of items that were asked several times say. k: how often each was asked at least. any_of: how
    probable it is that one of k runs is right (pass@k); all_of: that all are (pass^k). disagree: the share of items of
    which some runs pass and some do not."""

    k: int
    any_of: float
    all_of: float
    disagree: float


@dataclass(frozen=True)
class Summary:
    """What the scores of one check say together.

    check: its name. group: the value of the column by which they are grouped, "" for all. n: items. runs: answers, more
    than n where items were asked several times. missing: runs without an answer, which count 0. mean, low, high: the
    mean of the values and its 95 % interval, 0 to 1. method: "wilson", "bootstrap over items" or "wilson over
    clusters". passed: the share of runs that pass. repeats: None where no item was asked twice. spent: what the checks
    themselves have cost, in US dollars; None where that is not known, 0 for checks that ask no model. clusters: in
    which the items are; 0 for none.
    """

    check: str
    n: int
    runs: int
    missing: int
    mean: float
    low: float
    high: float
    method: str
    passed: float
    group: str = ""
    repeats: Repeats | None = None
    spent: float | None = 0.0
    clusters: int = 0

    @property
    def is_few(self) -> bool:
        """Whether the items, or their clusters, are too few for the interval to be trusted."""
        return (self.clusters or self.n) < FEW

    def __str__(self) -> str:
        """As "62.0 % (56.9-66.8), 3 of 400 without an answer count as wrong"."""
        parts = [f"{percent(self.mean)} % ({percent(self.low)}-{percent(self.high)})"]
        if self.missing:
            counts = "counts" if self.missing == 1 else "count"
            parts.append(f"{self.missing} of {self.runs} without an answer {counts} as wrong")
        if self.is_few:
            few = self.clusters or self.n
            parts.append(f"only {few} {'cluster' if self.clusters else 'item'}{'' if few == 1 else 's'}")
        return ", ".join(parts)


def percent(share: float) -> str:
    """A share in percent, with one digit behind the point; "100.0" and "0.0" only for all and none."""
    value = f"{100 * share:.1f}"
    if value == "100.0" and share < 1:
        return "99.9"
    return "0.1" if value == "0.0" and share > 0 else value


Runs = Mapping[str, Sequence[Score]]
"""The scores of one check, by the ids of their items: one for each run."""


def item_of(record_id: str) -> str:
    """The id of the item of a record: without the number of its repeat."""
    item, mark, number = record_id.rpartition(REPEAT)
    return item if mark and number.isdecimal() else record_id


def runs_by_check(records: Iterable[Record]) -> dict[str, dict[str, list[Score]]]:
    """The scores of records by the names of their checks, then by their items. Raises CheckError for a score that is no
    number of 0 to 1."""
    found: dict[str, dict[str, list[Score]]] = {}
    for record in records:
        scores = record.get("scores")
        for name, made in scores.items() if isinstance(scores, Mapping) else ():
            try:
                score = Score.from_json(made)
            except CheckError as error:
                raise CheckError(f"check {name} (item {record.get('id')}): {error}") from None
            found.setdefault(str(name), {}).setdefault(item_of(str(record["id"])), []).append(score)
    return found


def summary(check: str, runs: Runs, *, group: str = "", seed: int = 0, clusters: Clusters = NONE) -> Summary:
    """What the scores of one check say. Raises ConfigurationError without any."""
    if not runs:
        raise ConfigurationError(f"there are no scores of {check}")
    scores = [score for item in runs.values() for score in item]
    found = interval_of(_by_item(runs), clusters, seed)
    return Summary(
        check,
        len(runs),
        len(scores),
        sum(score.missing for score in scores),
        found.value,
        found.low,
        found.high,
        found.method,
        mean_of([float(score.passed) for score in scores]),
        group,
        _repeats(runs),
        _spent(scores),
        count_of(runs, clusters),
    )


def summaries(
    records: Iterable[Record], *, by: str | None = None, seed: int = 0, without_errors: bool = False
) -> list[Summary]:
    """What the scores of records say, of each check: of all items, then of each group. The order is that in which they
    first occur.

    by: the column of the items by which they are grouped. without_errors: runs without an answer are left out, instead
    of counting as wrong. Raises CheckError for a score that can't be read, ConfigurationError for a column that no
    record has.
    """
    listed = list(records)
    groups: dict[str, list[Record]] = {"": listed}
    if by is not None:
        groups |= _grouped(listed, by)
    made = []
    for group, its in groups.items():
        for check, runs in runs_by_check(its).items():
            kept = _answered(runs) if without_errors else runs
            if kept:
                made.append(summary(check, kept, group=group, seed=seed))
    return made


def values_of(runs: Runs) -> list[float]:
    """The value of each item: the mean of its runs."""
    return list(_by_item(runs).values())


def _by_item(runs: Runs) -> dict[str, float]:
    return {item: mean_of([score.value for score in scores]) for item, scores in runs.items()}


def compare(first: Runs, second: Runs, seed: int = 0, clusters: Clusters = NONE) -> Difference:
    """The difference of two configurations in one check, over the items that both have. Raises ConfigurationError where
    they have none in common."""
    common = [item for item in first if item in second]
    if not common:
        raise ConfigurationError("the two have no item in common")
    one, other = (_by_item({item: runs[item] for item in common}) for runs in (first, second))
    return difference_in(one, other, clusters, seed)


def _answered(runs: Runs) -> dict[str, list[Score]]:
    kept = {item: [score for score in scores if not score.missing] for item, scores in runs.items()}
    return {item: scores for item, scores in kept.items() if scores}


def _grouped(records: Sequence[Record], by: str) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        columns = record.get("item")
        if isinstance(columns, Mapping) and by in columns:
            groups.setdefault(_name(columns[by]), []).append(record)
    if not groups and records:
        raise ConfigurationError(f"no item has a column {by!r}")
    if len(groups) > MOST_GROUPS:
        raise ConfigurationError(f"{by!r} has {len(groups)} values, which are too many for groups")
    return groups


def _name(value: Any) -> str:
    return in_a_line(value if isinstance(value, str) else repr(value), 80) or "(empty)"


def _repeats(runs: Runs) -> Repeats | None:
    repeated = [scores for scores in runs.values() if len(scores) > 1]
    if not repeated:
        return None
    k = min(map(len, repeated))
    counts = [(len(scores), sum(score.passed for score in scores)) for scores in repeated]
    return Repeats(
        k,
        mean_of([pass_at(k, n, right) for n, right in counts]),
        mean_of([pass_all(k, n, right) for n, right in counts]),
        mean_of([float(0 < right < n) for n, right in counts]),
    )


def _spent(scores: Iterable[Score]) -> float | None:
    costs = [score.spent.get("cost") for score in scores if score.spent is not None]
    return None if any(not isinstance(cost, int | float) for cost in costs) else float(sum(costs))  # type: ignore[arg-type]
