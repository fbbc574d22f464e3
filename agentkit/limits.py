"""The limits of a run, and the accounting of what it has spent."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Literal

from agentkit.errors import LimitError

Limit = Literal["turns", "tokens", "seconds", "cost", "tool_calls", "loop"]


_REASONS: dict[Limit, str] = {
    "turns": "the limit on turns is reached",
    "tokens": "the limit on tokens is reached",
    "seconds": "the time limit is reached",
    "cost": "the limit on cost is reached",
    "tool_calls": "the limit on tool calls is reached",
    "loop": "your calls repeat without progress",
}
RESERVED_SHARE = 0.2
"""The share of a run's seconds that is reserved for its last reply."""

LAST_WORDS: dict[Limit, str] = {
    limit: f"No more tool calls are possible: {why}. Give your best answer now from what you have found."
    for limit, why in _REASONS.items()
}
"""The message to the model when a limit is reached."""


@dataclass(frozen=True)
class Limits:
    """What one run may spend; None is no limit. At a limit the model is asked one last time for its best answer,
    without tools.

    turns: replies of the model, not counting that last answer. tokens: input and output together; as many as the last
    reply took are reserved for the last answer. cost: likewise, in the currency that the server reports, or of the
    prices. seconds: wall-clock time, after which the run ends at any point; a fifth of it is reserved for the last
    reply. tool_calls: the number of calls that are run. repeats: how many times in a row the same call may have the
    same result, or two alternating calls theirs. failures: how many calls in a row may fail. At these two the model is
    warned once, and if it continues so, the run ends as "loop". on_limit: "answer" asks for the best answer, "raise"
    raises LimitError instead.

    Raises LimitError when a limit is negative, turns, repeats or failures is less than 1, or on_limit is neither.
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
            raise LimitError(f'Limits(on_limit={self.on_limit!r}): must be "answer" or "raise"')
        for field in fields(self):
            if field.name == "on_limit":
                continue
            value = getattr(self, field.name)
            least = 1 if field.name in ("turns", "repeats", "failures") else 0
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < least):
                raise LimitError(f"Limits({field.name}={value!r}): must be a number of at least {least}, or None")


@dataclass(frozen=True)
class Usage:
    """What was spent: numbers of requests and tool calls, tokens and cost as the server reports them (cost: 0.0 when it
    reports none and no prices are known), and wall-clock seconds. `cached_tokens` are part of `input_tokens`,
    `reasoning_tokens` of `output_tokens`."""

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    tool_calls: int = 0
    cost: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, name) + getattr(other, name) for name in _COUNTS))

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, name) - getattr(other, name) for name in _COUNTS))


_COUNTS = tuple(field.name for field in fields(Usage))
_NOTHING = Usage()


_ROUNDING = 1 + 1e-9
"""Tolerance for sums of costs."""


class LoopGuard:
    """Detects calls that repeat without progress. Results that change count as progress, whatever the calls are."""

    def __init__(self, repeats: int | None, failures: int | None) -> None:
        self._repeats = repeats
        self._failures = failures
        window = max(2 * (repeats or 0), failures or 0)
        self._calls: deque[tuple[tuple[str, ...], bool]] = deque(maxlen=max(1, window))
        self._count = 0
        self._warned_at: int | None = None
        self._loop: str | None = None

    def note(self, call_and_response: tuple[str, ...], failed: bool) -> None:
        """Record a call that was answered."""
        self._calls.append((call_and_response, failed))
        self._count += 1
        self._loop = self._detected()

    def warning(self) -> str | None:
        """The message that warns the model, once in a run; else None."""
        if self._loop is None or self._warned_at is not None:
            return None
        self._warned_at = self._count
        return f"{self._loop} Do something else, or give your best answer from what you have."

    def is_stuck(self) -> bool:
        """Whether the calls still make no progress after the model was warned."""
        return self._warned_at is not None and self._count > self._warned_at and self._loop is not None

    def _detected(self) -> str | None:
        calls, failed = [call for call, _ in self._calls], [failed for _, failed in self._calls]
        repeats, failures = self._repeats, self._failures
        if repeats is not None and _repeats_at_end(calls, 1, repeats):
            return f"You have made the same call {repeats} times in a row, with the same result."
        if repeats is not None and _repeats_at_end(calls, 2, repeats):
            return f"You have made the same two calls alternately {repeats} times, with the same results."
        if failures is not None and len(failed) >= failures and all(failed[-failures:]):
            return f"Your last {failures} calls have all failed."
        return None


def _repeats_at_end(calls: list[tuple[str, ...]], period: int, times: int) -> bool:
    """Whether the last `period * times` calls are the same `period` calls, `times` times."""
    last = calls[-period * times :]
    return len(last) == period * times and last == last[:period] * times


class Budget:
    """What one run spends, checked against its limits; shared by threads.

    parent: the budget of the run that this one is a tool of: what is spent here counts there too, and its limits
    (except turns) apply here. Expected spending is reserved beforehand, here and there, so that parallel runs don't
    spend the same tokens twice; a reply is expected to cost as much as the one before it.
    """

    def __init__(
        self, limits: Limits, clock: Callable[[], float] = time.monotonic, parent: "Budget | None" = None
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._parent = parent
        self._started = clock()
        self._turns = 0
        self._spent = Usage()
        self._last: Usage = parent._last if parent is not None else Usage()
        self._own_hold = Usage()
        self._held = Usage()
        self._ending: Limit | None = None
        own = (limits.tokens, limits.cost, limits.tool_calls, limits.seconds)
        self._is_limited: bool = own != (None,) * 4 or (parent is not None and parent._is_limited)
        self._guard = LoopGuard(limits.repeats, limits.failures)
        self._lock: threading.RLock = parent._lock if parent is not None else threading.RLock()

    @property
    def usage(self) -> Usage:
        """What has been spent so far, including nested runs."""
        with self._lock:
            return replace(self._spent, seconds=self._clock() - self._started)

    @property
    def turn(self) -> int:
        """The number of the next reply, counted from 1."""
        return self._turns + 1

    def begin_reply(self) -> Limit | None:
        """Reserve the expected usage of the next reply and of a last one. Returns the limit that makes the next reply
        the last one, or None."""
        with self._lock:
            self._hold(tool_calls=0, reply=_NOTHING)
            self._ending = self._limit()
            if self._is_limited:
                self._hold(tool_calls=0, reply=self._last if self._ending else self._last + self._last)
            return self._ending

    def end_reply(self, usage: Usage) -> None:
        """Count the usage of a reply."""
        with self._lock:
            self._turns += usage.requests
            if self._is_limited:
                self._last = replace(usage, requests=0, seconds=0.0)
                self._hold(tool_calls=0, reply=Usage() if self._ending else self._last)
            self._count(usage)

    def hold_tool_calls(self, count: int) -> int:
        """Reserve up to `count` tool calls in total. Returns how many the limit allows."""
        with self._lock:
            if not self._is_limited:
                return count
            own = self._own_hold.tool_calls
            left = self._tool_calls_left()
            granted = count if left is None else min(count, left + own)
            self._hold(granted, _reply_of(self._own_hold))
            return granted

    def end_tool_call(self) -> None:
        """Count a tool call that was run."""
        with self._lock:
            if self._is_limited:
                self._hold(max(0, self._own_hold.tool_calls - 1), _reply_of(self._own_hold))
            self._count(Usage(tool_calls=1))

    def release(self) -> None:
        """Release all reservations: the run has ended."""
        with self._lock:
            self._hold(0, Usage())

    def note_call(self, *call_and_response: str, failed: bool) -> None:
        """Record a call that was answered, for the detection of loops."""
        self._guard.note(call_and_response, failed)

    def warning(self) -> str | None:
        """The warning to the model about repeated calls, before the run is ended for them; None when there is none."""
        return self._guard.warning()

    def deadline(self) -> float | None:
        """The clock's time at which work has to end so that there is time for a last reply; None is no limit."""
        return self._end_of(1 - RESERVED_SHARE)

    def end(self) -> float | None:
        """The clock's time at which the time limit is reached; None is no limit."""
        return self._end_of(1.0)

    def patience(self) -> float | None:
        """The clock's time at which the current reply has to end; None is no limit."""
        return self.deadline() if self._ending is None else self.end()

    def _count(self, usage: Usage) -> None:
        """Count what was spent in this run or a nested one."""
        self._spent += usage
        if self._parent is not None:
            self._parent._count(usage)

    def _hold(self, tool_calls: int, reply: Usage) -> None:
        """Replace this run's reservation, here and in its parents."""
        if not self._is_limited:
            return
        reserved = replace(reply, tool_calls=tool_calls)
        before, self._own_hold = self._own_hold, reserved
        budget: Budget | None = self
        while budget is not None:
            budget._held = budget._held + reserved - before
            budget = budget._parent

    def _tool_calls_left(self) -> int | None:
        limit = self._limits.tool_calls
        own = None if limit is None else max(0, limit - self._spent.tool_calls - self._held.tool_calls)
        above = self._parent._tool_calls_left() if self._parent is not None else None
        return min((left for left in (own, above) if left is not None), default=None)

    def _end_of(self, part: float) -> float | None:
        limit = self._limits.seconds
        own = None if limit is None else self._started + limit * part
        above = self._parent._end_of(part) if self._parent is not None else None
        return min((time for time in (own, above) if time is not None), default=None)

    def _limit(self) -> Limit | None:
        """The first limit that is reached, or None."""
        if self._limits.turns is not None and self._turns >= self._limits.turns:
            return "turns"
        if self._guard.is_stuck():
            return "loop"
        return self._shared_limit(self._last + self._last) if self._is_limited else None

    def _shared_limit(self, ahead: Usage) -> Limit | None:
        """The first reached limit of those that nested runs share, or None. ahead: the expected usage of the next
        reply and a last one."""
        spent, limits = self.usage, self._limits
        expected = self._held + ahead
        checks: list[tuple[Limit, float, float, float | None]] = [
            ("tokens", _tokens(spent), _tokens(expected), limits.tokens),
            ("seconds", spent.seconds, 0.0, None if limits.seconds is None else limits.seconds * (1 - RESERVED_SHARE)),
            ("cost", spent.cost, expected.cost, limits.cost),
            ("tool_calls", spent.tool_calls, 0.0, limits.tool_calls),
        ]
        for name, value, more, limit in checks:
            if limit is not None and (value >= limit or value + more > limit * _ROUNDING):
                return name
        return self._parent._shared_limit(ahead) if self._parent is not None else None


def _tokens(usage: Usage) -> int:
    return usage.input_tokens + usage.output_tokens


def _reply_of(usage: Usage) -> Usage:
    return replace(usage, tool_calls=0)
