"""Two configurations on the same questions: what surely differs, in a sentence, and which questions changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agentkit.evaluation.clusters import difference_in
from agentkit.evaluation.intervals import Runs, compare, values_of
from agentkit.evaluation.preferences import NAME, Preferences
from agentkit.evaluation.results import SPENT, Configuration, Scored
from agentkit.evaluation.statistics import ALPHA, Difference, Kind, holm, kind_of, mean_of
from agentkit.evaluation.wording import amount, counted, percent, points, probability

FLIPPED = 20
"""Questions that are named."""


@dataclass(frozen=True)
class CheckComparison:
    """How the scores of a check differ, over the questions that both have. difference: other - base, with the p of
    these two alone. p: its probability by chance, corrected for the number of configurations. kind: of the other, ""
    where no difference is seen. verdict: a sentence."""

    check: str
    base: Scored
    other: Scored
    difference: Difference
    p: float
    kind: Kind
    verdict: str


@dataclass(frozen=True)
class Flip:
    """A question whose score changed. before, after: its scores, over all checks and repeats."""

    item: str
    question: str
    before: float
    after: float


@dataclass(frozen=True)
class Comparison:
    """A configuration against the first. spent: by the name in SPENT, a sentence. flipped: the questions that changed
    most; changed: how many did. left_out: questions that only one of them has. preferred: what a judge prefers, where
    one was asked; p: how probable that is by chance, corrected for the number of configurations."""

    base: str
    other: str
    checks: Sequence[CheckComparison]
    spent: Mapping[str, str]
    flipped: Sequence[Flip]
    changed: int
    left_out: int
    preferred: Preferences | None = None
    p: float = 1.0

    @property
    def verdicts(self) -> list[tuple[str, str, Kind]]:
        """For each check, and the judge: its name, the verdict in a sentence, and the kind of it."""
        found: list[tuple[str, str, Kind]] = [(each.check, each.verdict, each.kind) for each in self.checks]
        if self.preferred is not None:
            found.append((NAME, self.preferred.sentence(self.other, self.p), self.preferred.kind(self.p)))
        return found


def comparisons(
    configurations: Sequence[Configuration], seed: int, preferred: Sequence[Preferences] = ()
) -> list[Comparison]:
    """Each configuration against the first. Of several the probabilities are corrected (Holm), check by check.
    preferred: what a judge prefers, for each of the others."""
    base, *others = configurations
    made = [_comparison(base, other, seed) for other in others]
    by_chance = holm([each.p for each in preferred])
    if preferred:
        made = [replace(of, preferred=each, p=p) for of, each, p in zip(made, preferred, by_chance, strict=True)]
    if len(made) < 2:
        return made
    corrected: dict[str, list[float]] = {}
    for check in dict.fromkeys(each.check for one in made for each in one.checks):
        own = [each.p for one in made for each in one.checks if each.check == check]
        corrected[check] = list(holm(own))
    return [_corrected(one, {each.check: corrected[each.check].pop(0) for each in one.checks}) for one in made]


def _corrected(of: Comparison, p: Mapping[str, float]) -> Comparison:
    checks = [
        _judged(each.check, each.base, each.other, each.difference, p[each.check], of.other) for each in of.checks
    ]
    return replace(of, checks=checks)


def _comparison(base: Configuration, other: Configuration, seed: int) -> Comparison:
    one, two = ({each.item for each in of.outcomes} for of in (base, other))
    checks = [_compared(check, base, other, seed) for check in base.scored if check in other.scored]
    flips = _flips(base, other)
    return Comparison(
        base.name,
        other.name,
        [each for each in checks if each is not None],
        {name: sentence for name in SPENT if (sentence := _spent(name, base, other, seed))},
        flips[:FLIPPED],
        len(flips),
        len(one ^ two),
    )


def _compared(check: str, base: Configuration, other: Configuration, seed: int) -> CheckComparison | None:
    one, two = base.scored[check], other.scored[check]
    if not one.runs.keys() & two.runs.keys():
        return None
    found = compare(one.runs, two.runs, seed, base.clusters)
    return _judged(check, one, two, found, found.p, other.name)


def _judged(check: str, base: Scored, other: Scored, found: Difference, p: float, name: str) -> CheckComparison:
    kind = kind_of(found.value, p)
    return CheckComparison(check, base, other, found, p, kind, _verdict(found, p, kind, name))


def _verdict(found: Difference, p: float, kind: Kind, name: str) -> str:
    interval = f"{points(found.low)} to {points(found.high)}"
    has_zero = found.low <= 0 <= found.high
    if kind:
        decides = "; the interval has 0 in it: p decides" if has_zero else ""
        return f"{name} is {kind} by {abs(found.value) * 100:.1f} points ({interval}, {probability(p)}){decides}"
    of = f" in {counted(found.clusters, 'cluster')}" if found.clusters else ""
    least = f"{counted(found.n, 'question')}{of} can show {_whole_points(found.least)} or more"
    why = "" if has_zero else _why_not_seen(found, p)
    return f"no difference seen ({points(found.value)} points, {interval}, {probability(p)}); {why}{least}"


def _why_not_seen(found: Difference, p: float) -> str:
    """Why a difference is not seen whose interval leaves 0 out."""
    if found.p < ALPHA <= p:
        return f"alone it had {probability(found.p)}, but of so many comparisons one may look so by chance; "
    return "the interval leaves out 0, but p decides; "


def _whole_points(share: float) -> str:
    value = share * 100
    shown = f"{value:.0f}" if value >= 3 else f"{value:.1f}"
    return f"{shown} point{'' if shown == '1' else 's'}"


def _spent(name: str, base: Configuration, other: Configuration, seed: int) -> str:
    """How two configurations differ in what a run takes of something, in a sentence; "" where it is not known."""
    label, unit, _ = SPENT[name]
    one, two = _means(base, name), _means(other, name)
    first, second = ({item: of[item] for item in one if item in two} for of in (one, two))
    if not any(first.values()) and not any(second.values()):  # also where there are none
        return ""
    found = difference_in(first, second, base.clusters, seed)
    before, after = (sum(each.values()) / len(each) for each in (first, second))
    both = f"{amount(before, unit)} and {amount(after, unit)} a question{_of_answered(base, other, len(first))}"
    if found.p >= ALPHA:
        return f"{label}: no difference seen ({both})"
    share = f"{abs(after - before) / before * 100:.0f} % {'more' if after > before else 'less'}" if before else "more"
    return f"{label}: {other.name} takes {share} ({both}, {probability(found.p)})"


def _of_answered(base: Configuration, other: Configuration, count: int) -> str:
    """Of how many questions it is, where that is not all that both have."""
    one, two = ({each.item for each in of.outcomes} for of in (base, other))
    return f", of the {count:,} that both answered" if count < len(one & two) else ""


def _means(of: Configuration, name: str) -> dict[str, float]:
    """By item: what its runs took on average, of those that have an answer (others may have ended at once) and of which
    it is known."""
    found: dict[str, list[float]] = {}
    for each in of.outcomes:
        value = None if each.missing else SPENT[name][2](each)
        if value is not None:
            found.setdefault(each.item, []).append(value)
    return {item: sum(values) / len(values) for item, values in found.items()}


def _flips(base: Configuration, other: Configuration) -> list[Flip]:
    """The questions whose scores changed, those that changed most first."""
    one, two = _scores(base), _scores(other)
    texts = {each.item: each.question for each in base.outcomes}
    flips = [Flip(item, texts[item], one[item], two[item]) for item in one if item in two and one[item] != two[item]]
    return sorted(flips, key=lambda flip: -abs(flip.after - flip.before))


def _scores(of: Configuration) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for each in of.outcomes:
        found.setdefault(each.item, []).extend(score.value for score in each.scores.values())
    return {item: round(sum(values) / len(values), 9) for item, values in found.items() if values}


def surely_worse(comparison: Comparison, by: float) -> list[str]:
    """The checks in which the first configuration is surely worse than the other, by more than `by` (0 to 1), each in a
    sentence: over the questions that both have, and whatever else it is compared with."""
    return [
        f"{each.check} is {_mean(each.base.runs, each.other.runs)}, and was {_mean(each.other.runs, each.base.runs)} "
        f"in {comparison.other}: surely worse{f' by more than {_more(by)}' if by else ''} "
        f"({points(-each.difference.high)} to {points(-each.difference.low)} points)"
        for each in comparison.checks
        if each.difference.low > by and each.difference.p < ALPHA
    ]


def _more(share: float) -> str:
    return f"{share * 100:g} point{'' if round(share * 100, 9) == 1 else 's'}"


def _mean(of: Runs, other: Runs) -> str:
    """The mean over the items that both have."""
    return percent(mean_of(values_of({item: runs for item, runs in of.items() if item in other})))
