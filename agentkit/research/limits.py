"""What a research may spend: of several runs, and of what a run has for reading and for writing."""

from collections.abc import Mapping
from dataclasses import replace

from agentkit.limits import Budget, Limits, Usage

FOR_READING = 0.8
"""The part of tokens, cost and seconds that is for the researchers; the rest is for the report."""

UNFINISHED = frozenset(("tokens", "cost", "seconds", "tool_calls", "cancelled"))
"""Why the work on a plan, or on a sub-question, has stopped, if it goes on when the research is resumed."""

NEARLY = 0.999
"""The part of a limit at which it is reached: sums of costs are not exact."""


def _spent_of(usage: Usage, known_cost: float) -> Mapping[str, float]:
    return {
        "tokens": usage.input_tokens + usage.output_tokens,
        "cost": known_cost,
        "tool_calls": usage.tool_calls,
        "seconds": usage.seconds,
    }


def left(limits: Limits, spent: Usage, known_cost: float) -> Limits:
    """What is left of limits after earlier runs. known_cost: what of their cost is known, also where the sum is not.
    Replies, repeated calls and failures are counted of each agent."""
    used = _spent_of(spent, known_cost)
    rest = {name: max(0, limit - used[name]) for name in used if (limit := getattr(limits, name)) is not None}
    return replace(limits, turns=None, repeats=None, failures=None, **rest)


def for_reading(limits: Limits) -> Limits:
    """What of it is for the researchers."""
    names = ("tokens", "cost", "seconds")
    rest = {name: limit * FOR_READING for name in names if (limit := getattr(limits, name)) is not None}
    return replace(limits, **rest)


def of_an_agent(budget: Budget | None, turns: int) -> Limits:
    """The limits of an agent inside of a budget, which hold beside those of the budget. With a limit on cost its
    requests are priced."""
    return Limits(turns=turns, cost=None if budget is None else budget.limits.cost)


def reached(budget: Budget, ahead: Usage | None = None) -> str | None:
    """The limit that is reached before anything else is spent than what is ahead; None when none is."""
    used = _spent_of(budget.usage, budget.known_cost)
    if ahead is not None:
        more = _spent_of(ahead, ahead.cost or 0.0)
        used = {name: value + more[name] for name, value in used.items()}
    limits = {name: getattr(budget.limits, name) for name in used}
    return next((name for name, limit in limits.items() if limit is not None and used[name] >= limit * NEARLY), None)
