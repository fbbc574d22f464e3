"""How many requests a server can take at the same time, found by trying.

The number starts at START and doubles each round until the server refuses a request, or its latency shows a queue; then
it grows by a little each round. A round ends when as many requests were answered as the number is. Each refusal takes
its share away at once: one of 40 in flight, a fortieth of the number.

Latency shows a queue when the median of a round is above twice the least median so far. Answers also become slower
because they become longer, so that is tried: the number is cut, and where latency does not fall with it, there was no
queue, the number comes back, and what is slow now is what is usual.

No clock of its own, no thread, no lock: times are given, and its caller holds a lock.
"""

import math

MINIMUM, START, MAXIMUM = 4, 16, 128
QUEUE = 0.5
"""The share of the requests in flight that wait in a queue of the server, from which on the number is cut."""
LITTLE_QUEUE, SOME_QUEUE = 0.25, 0.4
"""The share from which on the number is not doubled, and from which on it does not grow at all."""
EXACT = 0.15
"""The standard error of the logarithm of a median that is exact enough to judge by."""
MOST_MEASURED = 96
"""Requests after which a median counts, exact or not."""
APPROACH = 8
"""The part of the way to where it was last refused by which the number grows in a round."""
PATIENCE, LONGEST_PATIENCE = 10.0, 8.0
"""For how many times the seconds that a refusal has closed the gate nothing is tried, and the seconds at most: then
closed gates cost a tenth of the time, and what a server can take more of is found within ten seconds."""
FORGOTTEN = 0.01
"""By how much of itself the least median grows in a round."""


class Limit:
    """The number of one server: `value`. minimum, start, maximum: of the number; where minimum and maximum are equal it
    stays as it is. epoch: goes up when the number changes; a request has that of when it was sent."""

    def __init__(self, minimum: int = MINIMUM, start: int = START, maximum: int = MAXIMUM) -> None:
        self._minimum, self._maximum = minimum, maximum
        self._exact = float(min(max(start, minimum), maximum))
        self.value = int(self._exact)
        self.epoch = 0
        self._is_doubling = True
        self._ceiling = 0.0  # the number at which the server refused a request
        self._step = 1.0
        self._patient_until = 0.0
        self._seconds: list[float] = []  # of the requests of this epoch
        self._answered = 0
        self._refused = 0
        self._best = math.inf
        self._tried: tuple[float, float] | None = None  # the number that was cut, and the median at it

    @property
    def usual_seconds(self) -> float:
        """The seconds that an answer takes without a queue; 0.0 before that is known."""
        return 0.0 if self._best == math.inf else self._best

    def answered(self, epoch: int, seconds: float, now: float) -> None:
        """A request was answered. epoch: that of when it was sent. seconds: that it took."""
        self._answered += 1
        if epoch == self.epoch:
            self._seconds.append(seconds)
        if self._answered < self.value or not (self._refused or self._is_measured()):
            return
        if self._refused:
            self._is_doubling = False
            self._step = 1.0
            if now >= self._patient_until:
                self._grow()
        else:
            self._judge(now)
        self._answered = self._refused = 0
        self._seconds.clear()

    def failed(self) -> None:
        """A request ended without an answer and was not refused either."""
        self._answered += 1

    def refused(self, in_flight: int, closed: float, now: float) -> None:
        """A request was refused. in_flight: how many there were, with this one. closed: the seconds for which nothing
        is sent."""
        if not self._refused:
            self._ceiling = self._exact
        self._refused += 1
        self._is_doubling = False
        self._tried = None
        if closed:
            self._patient_until = now + closed + min(PATIENCE * closed, LONGEST_PATIENCE)
        self._set(self._exact * (1 - 1 / max(in_flight, 1)))

    def begin_again(self) -> None:
        """The server has refused everything for a while, and now answers: what it can take is found anew."""
        self._is_doubling = True
        self._refused = 0
        self._patient_until = 0.0

    def _is_measured(self) -> bool:
        """Whether there are enough answers of this epoch for a median."""
        count = len(self._seconds)
        if count < self.value:
            return False
        if count >= MOST_MEASURED:
            return True
        ordered = sorted(self._seconds)
        low, high = ordered[count // 4], ordered[(3 * count) // 4]
        spread = math.log(high / low) if low > 0 else 1.0
        return 0.93 * spread <= EXACT * math.sqrt(count)  # of a normal distribution, from its quartiles

    def _judge(self, now: float) -> None:
        """A round without refusals has ended."""
        median = sorted(self._seconds)[len(self._seconds) // 2]
        if self._tried is not None and self._was_no_queue(median):
            return
        self._best = min(self._best * (1 + FORGOTTEN), median)
        queue = 1 - self._best / median if median > 0 else 0.0
        if queue > QUEUE:
            self._is_doubling = False
            self._step = 1.0
            self._tried = self._exact, median
            self._set(max(1.5 * self._exact * self._best / median, self._exact / 4))
            return
        if queue >= LITTLE_QUEUE:
            self._is_doubling = False
        if queue < SOME_QUEUE and now >= self._patient_until:
            self._grow()

    def _was_no_queue(self, median: float) -> bool:
        """Whether latency has not fallen with the number; then the number is what it was before."""
        number, before = self._tried or (self._exact, median)
        self._tried = None
        if median <= before * math.sqrt(self._exact / number):
            return False
        self._best = median
        self._set(number)
        return True

    def _grow(self) -> None:
        if self._is_doubling:
            self._set(2 * self._exact)
            return
        if self._refused or self._exact < self._ceiling:
            self._step = max(1.0, (self._ceiling - self._exact) / APPROACH)
        else:  # above where it was refused: the server takes more than it did
            self._step = min(2 * self._step, self._exact)
        self._set(self._exact + self._step)

    def _set(self, exact: float) -> None:
        self._exact = min(max(exact, float(self._minimum)), float(self._maximum))
        value = int(self._exact + 1e-9)
        if value != self.value:
            self.value = value
            self.epoch += 1
            self._seconds.clear()
