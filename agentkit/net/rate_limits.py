"""What limits the rate of requests to a server: those within a window of time, and what the server says is left.

What is counted is what arrives at the server within a window of time that slides along: a request counts from when it
was sent, until that time after it has arrived there. When it arrived is not known; it was before the response, and
hardly later than a twentieth of the window after it was sent.

A request that is alone is sent as soon as the limits allow it. Of many at the same time half of a limit is sent at
once and the rest evenly, since many servers count shorter times than they say.
"""

from collections import OrderedDict
from dataclasses import dataclass

from agentkit.net.rate_headers import Allowance, Told

ARRIVAL, LEAST_ARRIVAL = 0.05, 1.0
"""The part of a window, and the seconds at least, within which a request that was sent has arrived."""
EVEN = 0.9
"""The part of the even distance between two requests that is kept where they are many; the window keeps the rest."""
CATCH_UP = 0.1
"""The part of a window in which what threads were late with is made up for at once."""
AT_THE_START = 4
"""How many requests are sent to a server before it has answered the first."""
MAX_WAIT = 600.0
"""Seconds. A server that asks for a longer wait is asked all the same, and says itself that it refuses."""
FIRST_BACKOFF, MAX_BACKOFF = 0.5, 8.0
NEVER = float("inf")
SLEEP = 5.0
"""Seconds after which a thread that waits looks again, whatever happens; Windows does not interrupt a longer wait."""


@dataclass(eq=False)
class Slot:
    """A request that was sent. tokens: as estimated, or as they turned out. sent: when (`time.monotonic()`). arrived:
    when it had arrived at the server at the latest; 0.0 before that is known."""

    server: "Server"
    tokens: float
    sent: float
    arrived: float = 0.0


class Window:
    """What was sent within a time. limit: of the sum of the amounts. per: seconds."""

    def __init__(self, limit: float, per: float) -> None:
        self.limit = limit
        self._per = per
        self._amounts: OrderedDict[Slot, float] = OrderedDict()
        self._total = 0.0
        self._even = 0.0

    def wait(self, amount: float, now: float, is_crowded: bool) -> float:
        """The seconds until there is room for an amount."""
        while self._amounts and self._end(slot := next(iter(self._amounts))) <= now:
            self.drop(slot)
        total = self._total + min(amount, self.limit)
        if is_crowded and total > self.limit / 2 and self._even > now:
            return self._even - now
        if total <= self.limit:
            return 0.0
        for slot, counted in self._amounts.items():
            total -= counted
            if total <= self.limit:
                return max(0.0, self._end(slot) - now)
        return 0.0

    def add(self, slot: Slot, amount: float) -> None:
        """Count a request that is sent now."""
        self._amounts[slot] = amount
        self._total += amount
        distance = self._distance(amount)
        self._even = max(self._even, slot.sent - CATCH_UP * self._per) + distance

    def give_back(self, slot: Slot) -> None:
        """Count a request as never sent."""
        self._even -= self._distance(self._amounts.get(slot, 0.0))
        self.drop(slot)

    def _distance(self, amount: float) -> float:
        """The seconds between a request of that amount and the next, where they are sent evenly."""
        return EVEN * self._per * min(1.0, amount / self.limit)

    def drop(self, slot: Slot) -> None:
        """Count a request no longer."""
        self._total -= self._amounts.pop(slot, 0.0)

    def correct(self, slot: Slot, amount: float) -> None:
        """Count another amount for a request."""
        if slot in self._amounts:
            self._total += amount - self._amounts[slot]
            self._amounts[slot] = amount

    def _end(self, slot: Slot) -> float:
        latest = slot.sent + max(ARRIVAL * self._per, LEAST_ARRIVAL)
        return (min(slot.arrived, latest) if slot.arrived else latest) + self._per


class _Heard:
    """What a server said is left of one of its limits, and when there is more: all of it, or a little, which its next
    response shows."""

    def __init__(self) -> None:
        self._remaining: float | None = None
        self._limit: float | None = None
        self._until = 0.0
        self._noted = 0.0
        self._last = 0.0
        self._has_probe = False

    def note(self, allowance: Allowance, sent: float, now: float) -> None:
        """Take what the response to a request says that was sent at that time."""
        remaining = float(allowance.remaining)
        if sent < self._noted and now < self._until and self._remaining is not None and remaining >= self._remaining:
            return  # it may be older than what is known
        self._limit, self._noted = allowance.limit, now
        self._remaining = None if allowance.seconds > MAX_WAIT else remaining
        self._until, self._has_probe = now + allowance.seconds, False

    def wait(self, amount: float, flying: float, has_just_sent: bool, now: float, is_crowded: bool) -> float:
        """The seconds until a request of an amount may be sent. flying: what was sent and not responded to.
        has_just_sent: whether some of it has perhaps not arrived."""
        if self._remaining is None:
            return 0.0
        if now >= self._until:
            self._restore()
        amount = amount if self._limit is None else min(amount, self._limit)
        left, is_dated = self._remaining - flying, self._until < NEVER
        if left < amount:
            if (self._has_probe and not has_just_sent) or not (flying or is_dated):
                return 0.0
            return LEAST_ARRIVAL if self._has_probe else min(self._until - now, SLEEP)
        if is_crowded and is_dated and self._limit and self._remaining < self._limit / 2:
            return max(0.0, self._last + EVEN * (self._until - self._last) * amount / max(left, 1.0) - now)
        return 0.0

    def _restore(self) -> None:
        """More is left now; how much is not known before there is a response, so one request goes ahead."""
        self._until, self._has_probe = NEVER, True

    def note_sent(self, now: float) -> None:
        """A request is sent."""
        self._last = now
        self._has_probe = False

    def is_short_until(self, amount: float) -> float:
        """Until when less is left than an amount, whatever the requests take that are on their way; 0.0: it is not."""
        least = amount if self._limit is None else min(amount, self._limit)
        is_short = self._remaining is not None and self._remaining < least and self._until < NEVER
        return self._until if is_short else 0.0

    @property
    def exhausted_until(self) -> float:
        """When there is something again; 0.0 when there is something now."""
        return self._until if self._remaining == 0 and self._until < NEVER else 0.0


class Server:
    """One model of a server, as it has answered so far."""

    def __init__(self, address: str, is_known: bool) -> None:
        self.address = address
        self.flying: set[Slot] = set()
        self.requests, self.tokens = _Heard(), _Heard()
        self._is_known = is_known
        self._blocked_until = 0.0
        self._refusals = 0
        self._refused = 0.0

    def wait(self, tokens: float, now: float, is_crowded: bool) -> float:
        """The seconds until a request may be sent to it."""
        if now < self._blocked_until:
            return self._blocked_until - now
        if not self._is_known and len(self.flying) >= AT_THE_START:
            return SLEEP
        flying = sum(slot.tokens for slot in self.flying)
        has_just_sent = any(slot.sent > now - LEAST_ARRIVAL for slot in self.flying)
        return max(
            self.requests.wait(1, len(self.flying), has_just_sent, now, is_crowded),
            self.tokens.wait(tokens, flying, has_just_sent, now, is_crowded),
        )

    def send(self, slot: Slot) -> None:
        """A request is sent."""
        self.flying.add(slot)
        self.requests.note_sent(slot.sent)
        self.tokens.note_sent(slot.sent)

    def note(self, slot: Slot, status: int, told: Told, now: float) -> None:
        """Take what a response says."""
        self._is_known = True
        if told.requests is not None:
            self.requests.note(told.requests, slot.sent, now)
        if told.tokens is not None:
            self.tokens.note(told.tokens, slot.sent, now)
        is_refused = status in (429, 529)
        if not is_refused:
            self._refusals = 0
        elif slot.sent >= self._refused:  # not together with others
            self._refusals, self._refused = self._refusals + 1, now
        if is_refused or (status >= 400 and told.retry_after is not None):
            self.block(now + self._patience(told, now))

    def block(self, until: float) -> None:
        """Send nothing until then."""
        self._blocked_until = max(self._blocked_until, until)

    def closed_until(self, tokens: float) -> float:
        """Until when it takes no request of so many tokens, by what it has said."""
        return max(self._blocked_until, self.requests.is_short_until(1), self.tokens.is_short_until(tokens))

    @property
    def blocked_until(self) -> float:
        """Until when nothing is sent."""
        return self._blocked_until

    def _patience(self, told: Told, now: float) -> float:
        """The seconds that a server asks to wait; without a word on it, more with each refusal in a row."""
        if told.retry_after is not None:
            return told.retry_after if told.retry_after <= MAX_WAIT else 0.0
        until = max(self.requests.exhausted_until, self.tokens.exhausted_until)
        if until > now:
            return until - now
        return min(FIRST_BACKOFF * 2.0 ** min(self._refusals - 1, 10), MAX_BACKOFF)
