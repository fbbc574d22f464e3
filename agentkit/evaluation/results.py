"""The results of an evaluation: of each configuration the scores of its checks, of groups, and what was spent."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agentkit._text import in_a_line
from agentkit.evaluation.clusters import NONE, Clusters, clusters_of
from agentkit.evaluation.intervals import Runs, Summary, summary
from agentkit.evaluation.score import Score
from agentkit.evaluation.scores import Outcome

GROUP = 80
"""Characters of the name of a group."""
SPENT: Mapping[str, tuple[str, str, Callable[[Outcome], float | None]]] = {
    "cost": ("cost", "$", lambda each: each.cost),
    "seconds": ("time", "s", lambda each: each.seconds),
    "tokens": ("tokens", "tokens", lambda each: each.tokens),
    "calls": ("tool calls", "calls", lambda each: each.calls),
}
"""What is spent: name -> (how it is called, its unit, how much of it a run took)."""


@dataclass(frozen=True)
class Scored:
    """The score of one check. runs: by item, one for each time that it was asked. summary: in which a run without an
    answer counts as wrong; answered: of those with an answer alone, None where there is none."""

    check: str
    runs: Runs
    summary: Summary
    answered: Summary | None


@dataclass(frozen=True)
class Configuration:
    """One agent, and what came of the questions. file: the answers file, "" for none. ending: why it ended before all
    was answered; message: what to do. judged: what judges took, in US dollars; None where they asked nothing, or it is
    not known. clusters: of the questions."""

    name: str
    file: str
    outcomes: Sequence[Outcome]
    scored: Mapping[str, Scored]
    groups: Mapping[str, Mapping[str, Scored]] = field(default_factory=dict)
    judged: float | None = None
    ending: str = "complete"
    message: str = ""
    clusters: Clusters = field(default_factory=dict)

    @property
    def summaries(self) -> Mapping[str, Summary]:
        """The summary of each check."""
        return {name: each.summary for name, each in self.scored.items()}

    @property
    def items(self) -> int:
        """How many questions there are."""
        return len({each.item for each in self.outcomes})

    def missing(self) -> Mapping[str, int]:
        """How many runs have no answer, by the reason, the most frequent first."""
        return dict(Counter(each.missing for each in self.outcomes if each.missing).most_common())

    def stopped(self) -> Mapping[str, int]:
        """How many answers a limit has ended or cut off, by the limit, the most frequent first."""
        return dict(Counter(each.stopped for each in self.outcomes if each.stopped).most_common())

    def spent(self, name: str) -> float | None:
        """What all runs took of something in SPENT; None where it is not known of a run that has an answer."""
        values = [(SPENT[name][2](each), each.missing) for each in self.outcomes]
        if any(value is None and not missing for value, missing in values):
            return None
        return sum(value or 0.0 for value, _ in values)


def configuration(
    name: str,
    file: str,
    outcomes: Sequence[Outcome],
    by: str | None,
    seed: int,
    ending: str,
    message: str,
    cluster: str | None = None,
) -> Configuration:
    """A configuration with its statistics. by: the column of which each value is a group; cluster: that of which each
    value is a cluster. seed: of the resampling."""
    clusters = clusters_of(((each.item, each.columns) for each in outcomes), cluster)
    groups: dict[str, list[Outcome]] = {}
    if by is not None:
        for each in outcomes:
            groups.setdefault(group_of(each, by), []).append(each)
    return Configuration(
        name,
        file,
        outcomes,
        scored_of(outcomes, seed, clusters),
        {group: scored_of(groups[group], seed, clusters) for group in sorted(groups)},
        _judged(outcomes),
        ending,
        message,
        clusters,
    )


def group_of(outcome: Outcome, by: str) -> str:
    """The group of an outcome: the value of that column of its line."""
    value = outcome.columns.get(by)
    return "(none)" if value is None or value == "" else in_a_line(str(value), GROUP)


def check_names(outcomes: Iterable[Outcome]) -> list[str]:
    """The names of all checks, in the order in which they first come."""
    return list(dict.fromkeys(name for each in outcomes for name in each.scores))


def runs_of(outcomes: Iterable[Outcome], check: str) -> dict[str, list[Score]]:
    """By item: the scores of its runs."""
    found: dict[str, list[Score]] = {}
    for each in outcomes:
        if check in each.scores:
            found.setdefault(each.item, []).append(each.scores[check])
    return found


def scored_of(outcomes: Sequence[Outcome], seed: int, clusters: Clusters = NONE) -> dict[str, Scored]:
    """The score of each check."""
    return {check: _scored(check, outcomes, seed, clusters) for check in check_names(outcomes)}


def _scored(check: str, outcomes: Sequence[Outcome], seed: int, clusters: Clusters) -> Scored:
    runs = runs_of(outcomes, check)
    found = summary(check, runs, seed=seed, clusters=clusters)
    if not found.missing:
        return Scored(check, runs, found, found)
    kept = {item: [score for score in scores if not score.missing] for item, scores in runs.items()}
    answered = {item: scores for item, scores in kept.items() if scores}
    return Scored(check, runs, found, summary(check, answered, seed=seed, clusters=clusters) if answered else None)


def _judged(outcomes: Iterable[Outcome]) -> float | None:
    costs = [score.spent.get("cost") for each in outcomes for score in each.scores.values() if score.spent is not None]
    known = [cost for cost in costs if isinstance(cost, int | float) and math.isfinite(cost)]
    return float(sum(known)) if known and len(known) == len(costs) else None
