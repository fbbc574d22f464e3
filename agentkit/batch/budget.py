"""What a whole batch may spend: cost, tokens and time."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from agentkit._lazy.records import dataclass


@dataclass(frozen=True)
class BatchLimits:
    """What the runs of a batch may spend together; None is no limit. cost: in the currency of the prices. tokens: input
    and output together. seconds: wall-clock time from the start of the batch, after which nothing new is begun."""

    cost: float | None = None
    tokens: int | None = None
    seconds: float | None = None


@dataclass
class Spent:
    """What runs have spent together. cost: in the currency of the prices. tokens: input and output together."""

    runs: int = 0
    cost: float = 0.0
    tokens: int = 0

    def count(self, record: Mapping[str, Any]) -> None:
        """Add what the run of a record has spent."""
        usage = record.get("usage") or {}
        self.runs += 1
        self.cost += record.get("cost") or 0.0
        self.tokens += usage.get("input_tokens", 0) + usage.get("output_tokens", 0)


class BatchBudget:
    """Whether another item may begin. Not thread-safe: the feed guards it.

    What is in progress counts as much as items have taken on average so far, so that a batch ends close to its limit,
    however many run at once. Before the first has ended, nothing is known of that: then FIRST items may begin.
    """

    FIRST = 16

    def __init__(
        self, limits: BatchLimits, before: Iterable[Mapping[str, Any]] = (), lost: Spent | None = None
    ) -> None:
        """before: the records of earlier starts, which are read where there is a limit on what is spent. lost: what
        they have spent without a record."""
        self._limits = limits
        self.is_limited = vars(limits) != vars(BatchLimits())
        """Whether there is any limit: else nothing has to be asked, nor counted."""
        self._until = None if limits.seconds is None else time.monotonic() + limits.seconds
        self._spent = Spent() if lost is None else replace(lost)
        self.count = self._spent.count
        """Take what an item has spent."""
        if limits.cost is not None or limits.tokens is not None:
            for record in before:
                self.count(record)

    def is_over(self) -> bool:
        """Whether the time is up, or as much is spent as may be."""
        limits = self._limits
        is_spent = (limits.cost is not None and self.cost >= limits.cost) or (
            limits.tokens is not None and self.tokens >= limits.tokens
        )
        return is_spent or self.seconds_left == 0.0

    def misses_cost_of(self, record: Mapping[str, Any]) -> bool:
        """Whether there is a limit on the cost, and a record has tokens of which the cost is not known."""
        usage = record.get("usage") or {}
        has_tokens = bool(usage.get("input_tokens") or usage.get("output_tokens"))
        return self._limits.cost is not None and has_tokens and record.get("cost") is None

    def has_room(self, in_progress: int) -> bool:
        """Whether there is room for one more beside those that are in progress."""
        limits = self._limits
        if limits.cost is None and limits.tokens is None:
            return True
        if not self._spent.runs:
            return in_progress < self.FIRST
        coming = (in_progress + 1) / self._spent.runs
        has_money = limits.cost is None or self.cost * (1 + coming) <= limits.cost
        return has_money and (limits.tokens is None or self.tokens * (1 + coming) <= limits.tokens)

    @property
    def seconds_left(self) -> float | None:
        """Seconds in which items may begin; None without a limit."""
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    @property
    def cost(self) -> float:
        """What was spent, in the currency of the prices."""
        return self._spent.cost

    @property
    def tokens(self) -> int:
        """The tokens that were used, input and output together."""
        return self._spent.tokens
