"""How sure a mean, a share and a difference are: intervals, tests, and what a number of questions can show.

All is plain Python, and gives the same numbers for the same seed in each version of it: random numbers are the words of
the Mersenne Twister, values are summed as whole numbers.
"""

import math
import random
import sys
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, islice, pairwise, repeat
from statistics import NormalDist
from typing import Literal

from agentkit.errors import ConfigurationError

LEVEL = 0.95
RESAMPLES = 10_000
MOST_DRAWN = 2_000
"""Of more values, which are not of a few sizes, the mean is as good as normal, and its interval is computed."""
MOST_EXACT = 12
"""Of so few changes all signs are tried, which are less than those that are drawn."""
MOST_SIZES = 5
"""Of so many different values it is drawn how often each occurs, instead of each value."""
ALPHA = 0.05
"""Below which probability a difference is shown."""
FEW_AMOUNTS = 10
"""Of so many amounts the bootstrap can't leave the smallest and the largest far enough."""
LEAST_MORE, MOST_MORE = 0.25, 2.0
"""How many items are added to some, for their variance: of a mean in the middle, and of one at 0 or 1. Found by
simulation, of twelve kinds of scores and 5 to 200 items, with and without repeats: the interval covers 92.7 to 97.3 %
in 51 of 60 cases; with two items always it does in 38, being wider than it has to be."""
LUMP = 0.6
"""Where so large a share of items has one value, as the ties of pairs have, the others may be the rare ones that say
how much items vary: two items are added. Without that 88 to 93 % of such intervals of 40 to 100 items held the mean."""
POWER = 0.8
"""How often a difference that can be shown is found."""
_UNIT = 1_000_000_000
"""Values are counted in billionths."""
_PLACES = 1 << 16
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Interval:
    """Where a mean or a share lies, with 95 % confidence. method: "wilson" or "bootstrap over items"."""

    value: float
    low: float
    high: float
    method: str


Kind = Literal["better", "worse", ""]
"""What is seen of the second of two: "" where no difference is shown."""


def kind_of(change: float, p: float) -> Kind:
    """What is seen of a change whose probability by chance is p."""
    return "" if p >= ALPHA else "better" if change > 0 else "worse"


@dataclass(frozen=True)
class Difference:
    """The difference of two configurations over the same items.

    value: the mean of the second minus that of the first. low, high: its interval. p: how probable a difference of that
    size is where there is none. shows: whether the items show a difference. n: of the items. least: the smallest
    difference that so many items can show (found in 80 % of all cases). clusters: in which the items are; 0 for none.
    """

    value: float
    low: float
    high: float
    p: float
    shows: bool
    n: int = 0
    least: float = 0.0
    clusters: int = 0


def wilson(right: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """The interval of Wilson (1927) of a share: of `right` of n independent cases. Both may be no whole numbers."""
    _check_size(n)
    return _wilson(right, n, _NORMAL.inv_cdf((1 + level) / 2))


def _wilson(right: float, n: float, z: float) -> tuple[float, float]:
    """The same for a quantile of another distribution."""
    share, weight = right / n, z * z / n
    middle = (share + weight / 2) / (1 + weight)
    half = z * math.sqrt(share * (1 - share) / n + weight / (4 * n)) / (1 + weight)
    return (0.0 if right <= 0 else max(0.0, middle - half)), (1.0 if right >= n else min(1.0, middle + half))


def mean_of(values: Sequence[float]) -> float:
    """The mean. Raises ConfigurationError without values, and for one that is no finite number."""
    _check_size(len(values))
    return sum(_counted(values)) / (_UNIT * len(values))


def interval_of_items(
    values: Sequence[float], seed: int = 0, level: float = LEVEL, resamples: int = RESAMPLES
) -> Interval:
    """The interval of the mean of values of items, each 0 to 1: of an item that was asked several times the mean of
    its runs, since these are not independent.

    Wilson where each item is right or wrong, or all are alike; else the bootstrap over items, with the quantiles of
    Student's t, since that of few items is too narrow (Hesterberg 2015, "What teachers should know about the
    bootstrap"). Near 0 and 1 that misses the mean on the side of the middle three times too often, and of two or three
    items it can't leave their smallest and largest value: there the interval of Wilson is taken, of as many right and
    wrong items as vary as much; towards the middle the wider of both.
    """
    mean = mean_of(values)
    if min(values) < 0 or max(values) > 1:
        raise ConfigurationError("the value of an item is 0 to 1")
    if set(values) <= {0, 1} or min(values) == max(values):
        return Interval(mean, *wilson(mean * len(values), len(values), level), "wilson")
    low, high = _bootstrap(_counted(values), seed, level, resamples)
    lowest, highest = wilson(mean * (alike := _as_many(values, mean)), alike, level)
    if mean >= 0.5:
        return Interval(mean, max(0.0, min(low, lowest)), highest, "bootstrap over items")
    return Interval(mean, lowest, min(1.0, max(high, highest)), "bootstrap over items")


def interval_of_clusters(
    mean: float, residuals: Sequence[float], freedom: int, level: float = LEVEL
) -> tuple[float, float]:
    """The interval of a mean of 0 to 1 over items that belong together. residuals: of each cluster how far it is from
    the mean, 0 in sum. freedom: of Student's t. As in `interval_of_items`, a few say little of how much others vary."""
    n, most = len(residuals), mean * (1 - mean)
    is_lump = max(Counter(round(each, 9) for each in residuals).values()) >= LUMP * n
    more = _added(mean, is_lump)
    variance = (sum(each * each for each in residuals) + more * most) / (n - 1 + more)
    alike = max(1.0, n * most / variance) if variance else float(n)
    return _wilson(mean * alike, alike, _student(freedom, level))


def half_of_clusters(residuals: Sequence[float], freedom: int, level: float = LEVEL) -> float:
    """Half of Student's interval of a mean of amounts over items that belong together; see `interval_of_clusters`."""
    n = len(residuals)
    variance = sum(each * each for each in residuals) / max(1, n - 1)
    return _student(freedom, level) * math.sqrt(variance / n)


def interval_of_amounts(values: Sequence[float], seed: int = 0, level: float = LEVEL) -> Interval:
    """The interval of the mean of amounts of any size (seconds, tokens, costs) or of differences of such: the
    bootstrap over items, of few the wider of that and Student's."""
    mean = mean_of(values)
    if min(values) == max(values):
        return Interval(mean, mean, mean, "bootstrap over items")
    low, high = _bootstrap(_counted(values), seed, level, RESAMPLES)
    n = len(values)
    if n <= FEW_AMOUNTS:
        error = math.sqrt(sum((each - mean) ** 2 for each in values) / (n * (n - 1)))
        half = _student(n - 1, level) * error
        low, high = min(low, mean - half), max(high, mean + half)
    return Interval(mean, low, high, "bootstrap over items")


def difference_of(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Difference:
    """The difference of two configurations. first, second: their values of the same items, in the same order; of an
    item that was asked several times the mean of its runs."""
    if len(first) != len(second):
        raise ConfigurationError(f"{len(first)} and {len(second)} values are not those of the same items")
    changes = [other - one for one, other in zip(first, second, strict=True)]
    found = interval_of_amounts(changes, seed)
    p = permutation_test(changes, seed)
    least = smallest_difference(changes)
    if found.low == found.high:  # no item differs, or all by the same amount: what others would do is not known
        low, high = max(-1.0, found.value - least), min(1.0, found.value + least)
        return Difference(found.value, min(low, found.value), max(high, found.value), p, p < ALPHA, len(changes), least)
    most = max(1.0, *map(abs, changes))  # of scores: none changes by more than 1
    low, high = max(-most, found.low), min(most, found.high)
    return Difference(found.value, low, high, p, p < ALPHA, len(changes), least)


def permutation_test(changes: Sequence[float], seed: int = 0) -> float:
    """How probable a mean as far from 0 is where each change might as well have the other sign (two-sided). Exact where
    all changes are of one size, such as those of right and wrong answers, and of up to 12; else of 10,000 changes of
    sign, or of the normal distribution where they are more than 2,000."""
    counted = [abs(each) for each in _counted(changes) if each]
    seen = abs(sum(_counted(changes)))
    if not counted:
        return 1.0
    if len(set(counted)) == 1:
        n, more = len(counted), (len(counted) + seen // counted[0]) // 2
        return min(1.0, 2 * sum(_binomial_tail(n, more)))
    if len(counted) > MOST_DRAWN:
        return 2 * _NORMAL.cdf(-seen / math.sqrt(sum(each * each for each in counted)))
    if len(counted) <= MOST_EXACT:
        sums = _signed_sums(counted)
        return sum(abs(each) >= seen for each in sums) / len(sums)
    rng = random.Random(seed)
    chunks = [counted[place : place + 8] for place in range(0, len(counted), 8)]
    tables = [_for_each_byte(_signed_sums(chunk)) for chunk in chunks]
    as_far = 0
    for _ in range(RESAMPLES):
        signs = rng.getrandbits(8 * len(tables)).to_bytes(len(tables), "little")
        as_far += abs(sum([table[sign] for table, sign in zip(tables, signs, strict=True)])) >= seen
    return (as_far + 1) / (RESAMPLES + 1)


def holm(probabilities: Sequence[float]) -> list[float]:
    """The probabilities of several comparisons with one, as Holm (1979) corrects them for their number, in their
    order."""
    order = sorted(range(len(probabilities)), key=lambda place: probabilities[place])
    corrected, highest = [0.0] * len(order), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, probabilities[place] * (len(order) - rank)))
        corrected[place] = highest
    return corrected


def smallest_difference(changes: Sequence[float], power: float = POWER, alpha: float = ALPHA) -> float:
    """The smallest mean difference that so many items can show, if they change as much as these do, and by the
    difference besides. To be careful with items that change little, or not at all, two in four more would."""
    n = len(changes)
    mean = mean_of(changes)
    size = max(map(abs, changes)) or 1.0
    factor = (_NORMAL.inv_cdf(1 - alpha / 2) + _NORMAL.inv_cdf(power)) ** 2
    share = (sum((each / size) ** 2 for each in changes) + 2) / (n + 4)
    if {abs(each) for each in changes} <= {0.0, size}:  # a difference is more items that change
        root = math.sqrt(factor * factor + 4 * (n + factor) * factor * share)
        return min(size, size * ((factor + root) / (2 * (n + factor)) + 1 / n))
    variance = max(share - (mean / size) ** 2, 1 / (n + 4))
    return min(size, size * math.sqrt(factor * variance / n))


def pass_at(k: int, n: int, right: int) -> float:
    """How probable it is that one of k runs is right, of n of which `right` were: without bias (Chen and others 2021).
    Raises ConfigurationError for k above n."""
    _check_runs(k, n, right)
    return 1 - math.comb(n - right, k) / math.comb(n, k)


def pass_all(k: int, n: int, right: int) -> float:
    """How probable it is that k of k runs are right ("pass^k", Yao and others 2024), of n of which `right` were."""
    _check_runs(k, n, right)
    return math.comb(right, k) / math.comb(n, k)


def _as_many(values: Sequence[float], mean: float) -> float:
    """How many right and wrong items would say as much of the mean as these do. Their variance is that of the items and
    of a share of one more, near 0 and 1 of two, which vary as right and wrong do: a few items say little of how much
    others vary, and least of all where nearly all are as good or as bad as can be, or of one value."""
    most, n = mean * (1 - mean), len(values)
    more = _added(mean, max(Counter(values).values()) >= LUMP * n)
    variance = (sum((each - mean) ** 2 for each in values) + more * most) / (n - 1 + more)
    return n * max(1.0, most / variance) if variance else n


def _added(mean: float, is_lump: bool) -> float:
    """How many items that are right or wrong are added to some, for their variance."""
    return MOST_MORE if is_lump else LEAST_MORE + (MOST_MORE - LEAST_MORE) * abs(2 * mean - 1) ** 3


def _check_runs(k: int, n: int, right: int) -> None:
    if not 0 < k <= n or not 0 <= right <= n:
        raise ConfigurationError(f"{k} of {n} runs of which {right} are right: there are not so many")


def _check_size(n: float) -> None:
    if n < 1:
        raise ConfigurationError("nothing can be said of no items")


def _counted(values: Iterable[float]) -> list[int]:
    listed = list(values)
    if not all(map(math.isfinite, listed)):
        raise ConfigurationError("a value is no finite number")
    return [round(each * _UNIT) for each in listed]


def _bootstrap(values: list[int], seed: int, level: float, resamples: int) -> tuple[float, float]:
    """The interval of the mean of values, which are not all alike."""
    n = len(values)
    tail = _NORMAL.cdf(-math.sqrt(n / max(1, n - 1)) * _student(n - 1, level))
    counts, rng = Counter(values), random.Random(seed)
    is_cheap = len(counts) <= MOST_SIZES and n - max(counts.values()) <= MOST_DRAWN
    if n > MOST_DRAWN and not is_cheap:
        mean, z = sum(values) / n, _NORMAL.inv_cdf(tail)
        deviation = math.sqrt(sum((each - mean) ** 2 for each in values) / n)
        return (mean + z * deviation / math.sqrt(n)) / _UNIT, (mean - z * deviation / math.sqrt(n)) / _UNIT
    draw = _counts_drawn(counts, rng) if len(counts) <= MOST_SIZES else _drawn(values, rng)
    sums = sorted(islice(draw, resamples))
    low = sums[max(0, math.floor(tail * resamples))]
    high = sums[min(resamples - 1, math.ceil((1 - tail) * resamples) - 1)]
    return low / (n * _UNIT), high / (n * _UNIT)


def _drawn(values: list[int], rng: random.Random) -> Iterator[int]:
    """Yield sums of as many values as there are, drawn with replacement: from a table of 65,536 places, in which each
    stands equally often, but for one place."""
    n = len(values)
    ends = [-(-place * _PLACES // n) for place in range(n + 1)]
    table = chain.from_iterable(map(repeat, values, (end - begin for begin, end in pairwise(ends))))
    take = list(table).__getitem__
    while True:
        yield sum(map(take, array("H", rng.getrandbits(16 * n).to_bytes(2 * n, sys.byteorder))))


def _counts_drawn(counts: Counter[int], rng: random.Random) -> Iterator[int]:
    """Yield the same for few different values: how often each is drawn of those that are left is binomial."""
    n = sum(counts.values())
    logs = [math.lgamma(k + 1) for k in range(n + 1)]
    sizes = sorted(counts, key=lambda value: counts[value])
    tables: dict[tuple[int, int], tuple[int, list[float]]] = {}
    while True:
        drawn, left, others = 0, n, n
        for value in sizes[:-1]:
            if (value, left) not in tables:
                least, shares = _binomial(left, counts[value] / others, logs)
                tables[value, left] = least, list(accumulate(shares))
            least, table = tables[value, left]
            times = min(left, least + bisect_left(table, rng.random()))
            drawn, left, others = drawn + times * value, left - times, others - counts[value]
        yield drawn + left * sizes[-1]


def _binomial(n: int, share: float, logs: Sequence[float]) -> tuple[int, list[float]]:
    """The probabilities of 0 to n, but for those far from the mean, which are less than 1e-15 together; and of which
    number the first is. logs: of the factorials."""
    one, other = math.log(share), math.log1p(-share)
    far = math.ceil(10 * math.sqrt(n * share * (1 - share))) + 30
    least, most = max(0, int(n * share) - far), min(n, int(n * share) + far)
    made = (math.exp(logs[n] - logs[k] - logs[n - k] + k * one + (n - k) * other) for k in range(least, most + 1))
    return least, list(made)


def _binomial_tail(n: int, least: int) -> Iterable[float]:
    """The probabilities of at least so many heads of n coins, each."""
    whole = math.lgamma(n + 1) - n * math.log(2)
    return (math.exp(whole - math.lgamma(k + 1) - math.lgamma(n - k + 1)) for k in range(least, n + 1))


def _signed_sums(numbers: Sequence[int]) -> list[int]:
    """The sums of a few numbers, for all their signs."""
    sums = [0]
    for number in numbers:
        sums = [each - number for each in sums] + [each + number for each in sums]
    return sums


def _for_each_byte(sums: list[int]) -> list[int]:
    """The sums of up to eight numbers, for each byte of signs."""
    return sums * (256 // len(sums))


def _student(freedom: int, level: float) -> float:
    """The quantile of Student's t for both sides (expansion of Fisher and Cornish 1960)."""
    z = _NORMAL.inv_cdf((1 + level) / 2)
    if freedom < 3:
        return {0: 12.7, 1: 12.7, 2: 4.3}[max(0, freedom)] if level <= LEVEL else 60.0
    parts = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(part / float(freedom) ** power for power, part in enumerate(parts))
