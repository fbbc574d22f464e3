"""The limits of a run, and what it has spent."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from agentkit._forking import freed_by_forks
from agentkit._lazy.records import dataclass, replace
from agentkit.errors import LimitError

Limit = Literal["turns", "tokens", "seconds", "cost", "tool_calls", "loop"]


_REASONS: dict[Limit, str] = {
    "turns": "the limit on turns is reached",
    "tokens": "the limit on tokens is reached",
    "seconds": "the time is up",
    "cost": "the limit on cost is reached",
    "tool_calls": "the limit on tool calls is reached",
    "loop": "your calls repeat without progress",
}
KEPT_BACK = 0.2
"""The fraction of a run's seconds that is reserved for its last reply."""

LAST_WORDS: dict[Limit, str] = {
    limit: f"No more tool calls are possible: {why}. Give your best answer now from what you have found."
    for limit, why in _REASONS.items()
}
"""The message to the model when a limit is reached."""
_INSTEAD = " Do something else, or give your best answer from what you have."


def is_remark_of_the_run(text: str) -> bool:
    """Whether a text is a message to the model that a limit was reached, or that its calls repeat."""
    return text.endswith(_INSTEAD) or text in LAST_WORDS.values()


@dataclass(frozen=True)
class Limits:
    """Limits of one run; None is no limit. When one is reached, the model is asked once more, without tools, for its
    best answer.

    turns: replies of the model, not counting that last one. tokens: input and output together; as many as the previous
    reply took are reserved for the last one. cost: the same, in the currency in which the server reports it, or of the
    prices. seconds: wall-clock time, at which the run ends in whatever state it is; a fifth of it is reserved for the
    last reply. tool_calls: calls that are run.
    repeats: how many times in a row the same call with the same result, or two alternating calls, may be made.
    failures: how many calls in a row may fail. At either the model is warned once; if it continues, the run stops with
    "loop". on_limit: "answer" asks for the best answer, "raise" raises LimitError instead.

    Raises LimitError when a limit is negative or no number (NaN), or turns, repeats or failures is less than 1.
    """

    turns: int | None = 25
    tokens: int | None = None
    seconds: float | None = None
    cost: float | None = None
    tool_calls: int | None = None
    repeats: int | None = 3
    failures: int | None = 8
    on_limit: Literal["answer", "raise"] = "answer"

    def __post_init__(self) -> None:
        if self.on_limit not in ("answer", "raise"):
            raise LimitError(f'Limits(on_limit={self.on_limit!r}): use "answer" or "raise"')
        for name, value in vars(self).items():
            if name == "on_limit":
                continue
            least = {"turns": 1, "repeats": 2, "failures": 1}.get(name, 0)  # each call is the first of its repeats
            kind, needed = (int, "an integer") if name in ("repeats", "failures") else (int | float, "a number")
            is_number = isinstance(value, kind) and not isinstance(value, bool)
            if value is not None and not (is_number and value >= least):  # nor NaN
                raise LimitError(f"Limits({name}={value!r}): use {needed} of at least {least}, or None")


class _Rest(Limits):
    """What is left of limits, perhaps nothing."""

    def __post_init__(self) -> None:
        """Nothing is checked: no turn may be left, but for the last reply."""


@dataclass(frozen=True)
class Usage:
    """What was spent: requests and tool calls, tokens as the server reports them (0 where it does not), and wall-clock
    seconds. `cached_tokens` are part of `input_tokens`, `reasoning_tokens` of `output_tokens`.

    cost: in the currency in which the server reports it, or of the prices; None when it is not known. A sum's cost is
    None when that of either part is not known, since a partial sum would pose as the total; what has no requests and no
    tokens has nothing to know. `Usage()` changes no sum.
    """

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    tool_calls: int = 0
    cost: float | None = None
    seconds: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.tool_calls + other.tool_calls,
            _sum_of_costs(self, other),
            self.seconds + other.seconds,
        )

    def __radd__(self, other: int) -> "Usage":
        """What `sum(usages)` begins with is 0."""
        return self if other == 0 else NotImplemented

    def __sub__(self, other: "Usage") -> "Usage":
        return self + Usage(
            -other.requests,
            -other.input_tokens,
            -other.cached_tokens,
            -other.output_tokens,
            -other.reasoning_tokens,
            -other.tool_calls,
            None if other.cost is None else -other.cost,
            -other.seconds,
        )


NO_USAGE = Usage()
_NOTHING = Usage(cost=0.0)


def _sum_of_costs(one: Usage, other: Usage) -> float | None:
    if one.cost is None:
        return None if one.requests or one.input_tokens or one.output_tokens else other.cost
    if other.cost is None:
        return None if other.requests or other.input_tokens or other.output_tokens else one.cost
    return one.cost + other.cost


def left_of(limits: Limits, usage: "Usage") -> Limits:
    """What is left of limits for a run that goes on where another one has spent some of them."""

    def left(limit: float | None, spent: float | None) -> Any:
        return None if limit is None else max(0, limit - (spent or 0))

    return _Rest(
        turns=left(limits.turns, usage.requests),
        tokens=left(limits.tokens, usage.input_tokens + usage.output_tokens),
        seconds=left(limits.seconds, usage.seconds),
        cost=left(limits.cost, usage.cost),
        tool_calls=left(limits.tool_calls, usage.tool_calls),
        repeats=limits.repeats,
        failures=limits.failures,
        on_limit=limits.on_limit,
    )


_ROUNDING = 1 + 1e-9


class LoopGuard:
    """Detects that the calls of a run repeat without progress. A result that changes is progress."""

    def __init__(self, repeats: int | None, failures: int | None) -> None:
        self._repeats = repeats
        self._failures = failures
        self._longest = max(1, 2 * (repeats or 0), failures or 0)
        self._calls: list[tuple[tuple[str, ...], bool]] = []
        self._count = 0
        self._warned_at: int | None = None
        self._pattern: str | None = None

    def note(self, call_and_response: tuple[str, ...], failed: bool) -> None:
        """Record a call and its response."""
        self._calls.append((call_and_response, failed))
        del self._calls[: -self._longest]
        self._count += 1
        self._pattern = self._detected()

    def warning(self) -> str | None:
        """The warning to the model, once in a run; None when there is no reason for one."""
        if self._pattern is None or self._warned_at is not None:
            return None
        self._warned_at = self._count
        return self._pattern + _INSTEAD

    def is_stuck(self) -> bool:
        """Whether the calls still repeat after the warning."""
        return self._warned_at is not None and self._count > self._warned_at and self._pattern is not None

    def _detected(self) -> str | None:
        calls, failed = [call for call, _ in self._calls], [failed for _, failed in self._calls]
        repeats, failures = self._repeats, self._failures
        if repeats is not None and _turns(calls, 1, repeats):
            return f"You have made the same call {repeats} times in a row, with the same result."
        if repeats is not None and _turns(calls, 2, repeats):
            return f"You have made the same two calls in turn {repeats} times, with the same results."
        if failures is not None and len(failed) >= failures and all(failed[-failures:]):
            return f"Your last {failures} calls have all failed."
        return None


def _turns(calls: list[tuple[str, ...]], period: int, times: int) -> bool:
    """Whether the last calls are the same `period` calls, made `times` times over."""
    last = calls[-period * times :]
    return len(last) == period * times and last == last[:period] * times


class Budget:
    """What one run has spent, compared with its limits; shared by threads.

    parent: the budget of the run that called this one as a tool: spending counts there too, and its limits (except
    turns) apply here. What is about to be spent is reserved beforehand, here and there, so that concurrent runs don't
    spend the same tokens twice; a reply is expected to cost what the previous one did. The limit on cost counts the
    costs that are known, also when the sum of all is not; reservations count an unknown cost as 0.
    """

    def __init__(
        self, limits: Limits, clock: Callable[[], float] | None = None, parent: "Budget | None" = None
    ) -> None:
        self.limits = limits
        self.clock = clock or time.monotonic  # looked up now: a test that freezes it does so for all who read it
        self._parent = parent
        self.started = self.clock()
        self._turns = 0
        self._spent = Usage()  # but for the calls
        self._calls = 0
        self._known_cost = 0.0
        self._replies: list[tuple[str, Usage, Mapping[str, Usage]]] = []
        self._last: Usage = parent._last if parent is not None else _NOTHING
        self._own_hold = _NOTHING
        self._held = _NOTHING
        self._ending: Limit | None = None
        own = (limits.tokens, limits.cost, limits.tool_calls, limits.seconds)
        self._is_limited: bool = own != (None,) * 4 or (parent is not None and parent._is_limited)
        self._guard = LoopGuard(limits.repeats, limits.failures)
        self._lock: threading.RLock = parent._lock if parent is not None else freed_by_forks(threading.RLock())

    @property
    def is_limited(self) -> bool:
        """Whether anything is reserved: a limit but those on turns and on loops, here or in the runs around this."""
        return self._is_limited

    @property
    def is_nested(self) -> bool:
        """Whether it is of a run inside of another one."""
        return self._parent is not None

    @property
    def usage(self) -> Usage:
        """What has been spent so far, nested runs included."""
        with self._lock:
            spent = self._spent
            return Usage(
                spent.requests,
                spent.input_tokens,
                spent.cached_tokens,
                spent.output_tokens,
                spent.reasoning_tokens,
                spent.tool_calls + self._calls,
                spent.cost,
                self.seconds,
            )

    @property
    def known_cost(self) -> float:
        """The costs that are known, of what has been spent: what the limit on cost counts."""
        with self._lock:
            return self._known_cost

    @property
    def seconds(self) -> float:
        """The time since the run began: `clock() - started`."""
        return self.clock() - self.started

    @property
    def models(self) -> dict[str, Usage]:
        """The same for each model, by its name, in the order of first use."""
        found: dict[str, Usage] = {}
        for name, usage, others in list(self._replies):
            for other, part in others.items():
                found[other] = found.get(other, Usage()) + part
                usage -= part
            if name:
                found[name] = found.get(name, Usage()) + usage
        return found

    @property
    def turn(self) -> int:
        """The number of the next reply, counted from 1."""
        return self._turns + 1

    @property
    def ending(self) -> Limit | None:
        """The limit that made the current reply the last; None while there is none."""
        return self._ending

    def begin_reply(self) -> Limit | None:
        """Reserve what the next reply and a last one may cost. Returns the limit that makes the next the last. Raises
        LimitError instead where the limits say so."""
        with self._lock:
            if self._is_limited:
                self._hold(tool_calls=0, reply=_NOTHING)
            self._ending = self._limit()
            if self._ending is not None and self.limits.on_limit == "raise":
                raise LimitError(f"the run reached its limit: {self._ending}")
            if self._is_limited:
                self._hold(tool_calls=0, reply=self._last if self._ending else self._last + self._last)
            return self._ending

    def end_reply(self, usage: Usage) -> None:
        """Count a reply."""
        with self._lock:
            self._turns += usage.requests
            if self._is_limited:
                self._last = replace(usage, requests=0, seconds=0.0, cost=usage.cost or 0.0)
                self._hold(tool_calls=0, reply=_NOTHING if self._ending else self._last)
            self._count(usage)

    def note_models(self, name: str, usage: Usage, others: Mapping[str, Usage]) -> None:
        """Record which model has written a reply, here and in the budgets above; `end_reply` counts it. name: of the
        model, "" when that is not known. others: the part of the usage that other models took for it."""
        self._replies.append((name, usage, others))
        if self._parent is not None:
            self._parent.note_models(name, usage, others)

    def hold_tool_calls(self, count: int) -> int:
        """Reserve up to `count` tool calls; returns how many the limits allow."""
        with self._lock:
            if not self._is_limited:
                return count
            own = self._own_hold.tool_calls
            left = self._tool_calls_left()
            granted = count if left is None else min(count, left + own)
            self._hold(granted, _reply_of(self._own_hold))
            return granted

    def end_tool_call(self) -> None:
        """Count a call that was run."""
        with self._lock:
            if self._is_limited:
                self._hold(max(0, self._own_hold.tool_calls - 1), _reply_of(self._own_hold))
            self._count_call()

    def release(self) -> None:
        """Release all reservations: the run is over."""
        with self._lock:
            self._hold(0, _NOTHING)

    def note_call(self, *call_and_response: str, failed: bool) -> None:
        """Record a call and its response, for the detection of loops."""
        self._guard.note(call_and_response, failed)

    def warning(self) -> str | None:
        """The warning to the model that its calls repeat, if there is reason for one."""
        return self._guard.warning()

    def deadline(self) -> float | None:
        """The clock time by which work has to end, so that there is time for a last reply; None is no limit."""
        return self._end_of(1 - KEPT_BACK)

    def end(self) -> float | None:
        """The clock time at which the run's seconds are over; None is no limit."""
        return self._end_of(1.0)

    def reply_deadline(self) -> float | None:
        """The clock time by which the current reply has to be complete; None is no limit."""
        if not self._is_limited:
            return None
        return self.deadline() if self._ending is None else self.end()

    def _count(self, usage: Usage) -> None:
        """Count what was spent here or in a nested run."""
        self._spent += usage
        self._known_cost += usage.cost or 0.0
        if self._parent is not None:
            self._parent._count(usage)

    def _count_call(self) -> None:
        budget: Budget | None = self
        while budget is not None:
            budget._calls += 1
            budget = budget._parent

    def _hold(self, tool_calls: int, reply: Usage) -> None:
        """Replace this run's reservation, here and in the budgets above."""
        if not self._is_limited:
            return
        wanted = replace(reply, tool_calls=tool_calls)
        before, self._own_hold = self._own_hold, wanted
        budget: Budget | None = self
        while budget is not None:
            budget._held = budget._held + wanted - before
            budget = budget._parent

    def _tool_calls_left(self) -> int | None:
        limit = self.limits.tool_calls
        own = None if limit is None else max(0, limit - self.usage.tool_calls - self._held.tool_calls)
        above = self._parent._tool_calls_left() if self._parent is not None else None
        return min((left for left in (own, above) if left is not None), default=None)

    def _end_of(self, part: float) -> float | None:
        limit = self.limits.seconds
        own = None if limit is None else self.started + limit * part
        if self._parent is None:
            return own
        above = self._parent._end_of(part)
        return min((time for time in (own, above) if time is not None), default=None)

    def _limit(self) -> Limit | None:
        """The first limit that is reached, if any."""
        if self.limits.turns is not None and self._turns >= self.limits.turns:
            return "turns"
        if self._guard.is_stuck():
            return "loop"
        return self._shared_limit(self._last + self._last) if self._is_limited else None

    def _shared_limit(self, ahead: Usage) -> Limit | None:
        """The first of the limits that nested runs share. ahead: what the next reply and a last one may cost."""
        spent, limits = self.usage, self.limits
        coming = self._held + ahead
        checks: list[tuple[Limit, float, float, float | None]] = [
            ("tokens", _tokens(spent), _tokens(coming), limits.tokens),
            ("seconds", spent.seconds, 0.0, None if limits.seconds is None else limits.seconds * (1 - KEPT_BACK)),
            ("cost", self._known_cost, coming.cost or 0.0, limits.cost),
            ("tool_calls", spent.tool_calls + self._held.tool_calls, 0.0, limits.tool_calls),  # none is granted then
        ]
        for name, value, more, limit in checks:
            if limit is not None and (value >= limit or value + more > limit * _ROUNDING):
                return name
        return self._parent._shared_limit(ahead) if self._parent is not None else None


def _tokens(usage: Usage) -> int:
    return usage.input_tokens + usage.output_tokens


def _reply_of(usage: Usage) -> Usage:
    return replace(usage, tool_calls=0)
