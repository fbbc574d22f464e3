"""When a request may be sent to a server: as many at the same time as it can take, and none while it asks to wait.

Only numbers: times are given, and its caller holds a lock.
"""

import math

from agentkit.batch.limit import Limit

FIRST_BACKOFF, MAX_BACKOFF = 0.25, 5.0
"""Seconds for which nothing is sent to a server that refuses all and does not say how long."""
MAX_CLOSED = 600.0
"""Seconds. A server that asks for more is asked after that time, and says itself that it still refuses."""
LEAST_FULL, MOST_FULL = 0.05, 2.0
"""Seconds for which a server that has refused a request gets no more than it has."""
EVEN = 0.8
"""The part of the even distance between two requests that is kept where the server has refused some."""
CATCH_UP = 3.0
"""How many distances that threads were late with are made up for at once."""
NEVER = math.inf


class Gate:
    """What is known of one server. limit: how many requests at most."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.in_flight = 0
        self._closed_until = 0.0
        self._room = NEVER  # how many it takes, as its last refusal has shown
        self._room_until = 0.0
        self._even = 0.0  # when the next is sent, of those that are sent evenly
        self._rows = 0  # how often it has refused all that was in flight
        self._heard = -NEVER  # when it has answered, or was first asked
        self.has_answered = False
        """Whether a request has ever ended with an answer."""

    def wait(self, now: float) -> float:
        """The seconds until one more request may be sent; NEVER: until one ends."""
        if now < self._closed_until:
            return self._closed_until - now
        if self.in_flight >= self.limit.value:
            return NEVER
        if now < self._even:
            return self._even - now
        if self.in_flight < self._room:
            return 0.0
        if now >= self._room_until:
            self._room = NEVER
            return 0.0
        return self._room_until - now

    def is_closed(self, now: float) -> bool:
        """Whether nothing is sent, however little is in flight."""
        return now < self._closed_until

    @property
    def refuses_all(self) -> bool:
        """Whether it has refused all that was in flight, and has not answered since."""
        return self._rows > 0

    def send(self, now: float) -> int:
        """A request is sent. Returns how many are in flight then."""
        self.in_flight += 1
        if self._heard == -NEVER:
            self._heard = now
        limit = self.limit
        if limit.is_refused_now_and_then:
            distance = EVEN * limit.seconds / limit.value
            self._even = max(self._even, now - CATCH_UP * distance) + distance
        return self.in_flight

    def answered(self, begun: int, seconds: float, now: float) -> None:
        """A request has ended with an answer, the whole of it. begun: what `send` has returned. seconds: that it
        took."""
        self.in_flight -= 1
        self._heard = now
        self.has_answered = True
        if self._rows:
            self._rows = 0
            self._room = NEVER
            self.limit.begin_again()
        self.limit.answered(begun, seconds, now)

    def failed(self) -> None:
        """A request has ended otherwise."""
        self.in_flight -= 1
        self.limit.failed()

    def refused(self, begun: int, asked: float | None, now: float) -> None:
        """A request was refused. begun: what `send` has returned. asked: the seconds that the server asks to wait;
        None: it does not say."""
        left = self.in_flight - 1
        if asked is not None:
            self.close(min(asked, MAX_CLOSED), now)
        if left > 0:
            self._room = left
            self._room_until = now + min(max(self.limit.seconds, LEAST_FULL), MOST_FULL)
        else:
            if asked is None:
                self.close(min(FIRST_BACKOFF * 2.0 ** min(self._rows, 10), MAX_BACKOFF), now)
            self._rows += 1
            self._room, self._room_until = 1, NEVER
        self.limit.refused(begun, self.in_flight, max(0.0, self._closed_until - now), now)
        self.in_flight = left

    def close(self, seconds: float, now: float) -> None:
        """Send nothing for that time."""
        self._closed_until = max(self._closed_until, now + seconds)

    def silent(self, now: float) -> float:
        """The seconds since the server has last answered, or since it was first asked."""
        return now - self._heard
