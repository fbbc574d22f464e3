"""What the verdicts of a judge on pairs of answers say together: whose answers are preferred, and how surely."""

from collections.abc import Sequence
from dataclasses import dataclass

from agentkit._text import in_a_line
from agentkit.evaluation.clusters import NONE, Clusters, interval_of, signs_in
from agentkit.evaluation.pairs import Verdict, Verdicts
from agentkit.evaluation.statistics import Kind, kind_of, mean_of
from agentkit.evaluation.wording import amount, between, counted, percent, probability

NAME = "preferred"


@dataclass(frozen=True)
class Preferences:
    """Which of two configurations a judge prefers.

    said: its verdicts. n: questions. share: of the other configuration: the mean over questions of 1 where its answer
    is better, 0 where it is worse, .5 for a tie; low, high: its interval. p: how probable it is by chance, of these two
    alone. better, worse, ties, unsteady: how many pairs; the unsteady are ties. None of these where the judge ended
    before all was judged.
    """

    said: Verdicts
    n: int = 0
    share: float = 0.5
    low: float = 0.0
    high: float = 1.0
    p: float = 1.0
    better: int = 0
    worse: int = 0
    ties: int = 0
    unsteady: int = 0

    @property
    def ending(self) -> str:
        """Why the judge ended before all was judged; "complete"."""
        return self.said.ending

    @property
    def message(self) -> str:
        """What to do about that."""
        return self.said.message

    def kind(self, p: float) -> Kind:
        """What is seen of the other configuration. p: corrected for the number of comparisons."""
        return kind_of(self.share - 0.5, p)

    def sentence(self, other: str, p: float) -> str:
        """The verdict in a sentence. other: the name of the configuration. p: see `kind`."""
        if self.said.ending != "complete":
            return f"not all is judged: {self.said.message}"
        if not self.n:
            return "nothing is judged: the two have no question in common"
        kind = self.kind(p)
        seen = f"{other} is {kind}" if kind else "no preference seen"
        changed = f" ({self.unsteady:,} changed with the order)" if self.unsteady else ""
        counts = f"{self.better:,} better, {self.worse:,} worse, {self.ties:,} equal{changed}"
        interval = f"{percent(self.share)} of {counted(self.n, 'question')} ({between(self.low, self.high)})"
        cost = "" if not self.said.cost else f"; judging took {amount(self.said.cost, '$')}"
        return f"{in_a_line(seen, 100)}: {interval}, {counts}, {probability(p)}{cost}"


def preferences(said: Verdicts, seed: int, clusters: Clusters = NONE) -> Preferences:
    """The statistics of verdicts. The repeats of a question count by their mean."""
    values = _values(said.pairs)
    if not values:
        return Preferences(said)
    found = interval_of(values, clusters, seed)
    p = signs_in({item: value - 0.5 for item, value in values.items()}, clusters, seed)
    better, worse, ties = (sum(each.value == value for each in said.pairs) for value in (1.0, 0.0, 0.5))
    unsteady = sum(each.unsteady for each in said.pairs)
    return Preferences(said, len(values), found.value, found.low, found.high, p, better, worse, ties, unsteady)


def _values(pairs: Sequence[Verdict]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for each in pairs:
        found.setdefault(each.item, []).append(each.value)
    return {item: mean_of(values) for item, values in found.items()}
