"""Questions that share something, such as a passage that they are asked of, are no independent cases: whoever misreads
the passage answers all of them wrongly. How sure a mean and a difference are then follows from the clusters.

An interval is Wilson's of as many independent questions as say as much, with Student's quantile for the number of
clusters (Korn and Graubard 1998, "Confidence intervals for proportions with small expected number of positive counts
estimated from survey data"; Miller 2024, "Adding error bars to evals").
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agentkit.evaluation.statistics import (
    ALPHA,
    Difference,
    Interval,
    difference_of,
    half_of_clusters,
    interval_of_clusters,
    interval_of_items,
    mean_of,
    permutation_test,
)

Clusters = Mapping[str, str]
"""By the id of an item: what it shares with others. An item that is not in it is alone; without any, all are."""
NONE: Clusters = {}
METHOD = "wilson over clusters"


def clusters_of(columns: Iterable[tuple[str, Mapping[str, Any]]], name: str | None) -> dict[str, str]:
    """The clusters of items. columns: of each item, by its id. name: of the column whose value items share; None: there
    are no clusters."""
    if name is None:
        return {}
    values = ((item, of.get(name)) for item, of in columns)
    return {item: repr(value) for item, value in values if value is not None and value != ""}


def grouped(values: Mapping[str, float], clusters: Clusters) -> list[list[float]]:
    """The values of items, by cluster."""
    found: dict[tuple[bool, str], list[float]] = {}
    for item, value in values.items():
        found.setdefault((item in clusters, clusters.get(item, item)), []).append(value)
    return list(found.values())


def count_of(items: Iterable[str], clusters: Clusters) -> int:
    """How many clusters the items are in; 0 where each is alone."""
    made = grouped(dict.fromkeys(items, 0.0), clusters)
    return len(made) if any(len(each) > 1 for each in made) else 0


def interval_of(values: Mapping[str, float], clusters: Clusters, seed: int = 0) -> Interval:
    """The interval of the mean of values of items, each 0 to 1. It is nowhere narrower than that of independent items:
    that items of a cluster differ more than others do is mostly chance."""
    alone = interval_of_items(list(values.values()), seed)
    if not count_of(values, clusters):
        return alone
    made = grouped(values, clusters)
    mean = alone.value
    low, high = interval_of_clusters(mean, [each - mean for each in _levelled(made, mean)], _freedom(made))
    return Interval(mean, min(alone.low, low), max(alone.high, high), METHOD)


def difference_in(
    first: Mapping[str, float], second: Mapping[str, float], clusters: Clusters, seed: int = 0
) -> Difference:
    """The difference of two configurations in the same items: the bootstrap, and changes of sign, of whole clusters. Of
    clusters of uneven size the bootstrap is too narrow, as is that of few: the wider of it and Student's is taken."""
    if not count_of(first, clusters):
        return difference_of(list(first.values()), [second[item] for item in first], seed)
    changes = {item: second[item] - value for item, value in first.items()}
    made = grouped(changes, clusters)
    of_clusters = _levelled(made, mean_of(list(changes.values())))
    found = difference_of([0.0] * len(made), of_clusters, seed)
    p = signs_in(changes, clusters, seed)
    most = max(1.0, *map(abs, changes.values()))
    half = half_of_clusters([each - found.value for each in of_clusters], _freedom(made))
    low, high = max(-most, min(found.low, found.value - half)), min(most, max(found.high, found.value + half))
    return replace(found, low=low, high=high, p=p, shows=p < ALPHA, n=len(changes), clusters=len(made))


def signs_in(changes: Mapping[str, float], clusters: Clusters, seed: int = 0) -> float:
    """How probable a mean as far from 0 is, where the changes of each cluster might as well have the other sign."""
    made = grouped(changes, clusters)
    size = len(changes) / len(made)
    return permutation_test([sum(each) / size for each in made], seed)


def _freedom(made: Sequence[Sequence[float]]) -> int:
    """Of Student's t: that of as many clusters of one size as say as much as these (Kish 1965)."""
    evenly = sum(map(len, made)) ** 2 / sum(len(each) ** 2 for each in made)
    return int(evenly) - 1


def _levelled(made: Sequence[Sequence[float]], mean: float) -> list[float]:
    """A value for each cluster, whose mean is that of all items, and which vary as the clusters do: those of equally
    many items have the mean of their items."""
    size = sum(map(len, made)) / len(made)
    return [mean + sum(value - mean for value in each) / size for each in made]
