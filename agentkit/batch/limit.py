"""How many requests a server can take at the same time, found by trying.

The number starts at START and doubles each round until the server refuses a request, or its latency shows a queue; then
it grows by a little each round. The first rounds are not measured well, since they begin with the shortest answers:
where they seem to show a queue, it begins again at START, with exact rounds. A round ends when as many requests were
answered as the number is. Each refusal takes
its share away at once: one of 40 in flight, a fortieth of the number. But refusals of a server that takes more at other
times are not for the number in flight: such a share of refusals is borne.

Latency shows a queue when the mean of a round is above twice the usual one. Answers also become slower because they
become longer, so that is tried: the number is cut to what would leave no queue, and what is measured then is the usual
latency from then on. Where it has not fallen with the number there was no queue, and the number comes back. The same is
tried now and then anyway.

No clock, no thread, no lock of its own: times are given, and its caller holds a lock.
"""

import math
import statistics

MINIMUM, START, MAXIMUM = 4, 16, 128
QUEUE = 0.5
"""The share of the requests in flight that wait in a queue of the server, from which on the number is cut."""
LITTLE_QUEUE, SOME_QUEUE = 0.25, 0.4
"""The share from which on the number is not doubled, and from which on it does not grow at all."""
WITHOUT_QUEUE, WITH_QUEUE = 1.0, 1.8
"""How much of what the server answers at the same time is sent to measure its usual latency, and after that."""
ROUNDS_BETWEEN = 50
"""Rounds after which the usual latency is measured again, where there is some queue."""
EXACT, MOST_MEASURED = 0.15, 96
"""The standard error of a mean that is exact enough to judge by, as a part of it; requests after which it counts
anyway."""
MOST_TRIED = 0.05
"""The part by which a small number grows in a round at most: one of 8 would have every ninth request refused."""
APPROACH = 8
"""The part of the way to where it was last refused by which the number grows in a round."""
PATIENCE, LEAST_PATIENCE, LONGEST_PATIENCE = 10.0, 4.0, 5.5
"""Where a refusal has closed the gate, nothing is tried for ten times the seconds of that, so that closed gates cost a
tenth of the time; but after 5.5 s, or four times those seconds, it is, so that a server that can take more is
noticed."""
BOLD = 0.5
"""The part by which the number grows at least where a refusal closes the gate for longer than a round: it costs as
much, however much is tried."""
MOST_BORNE = 0.1
"""The share of refusals that is borne at most."""
LEARNING = 1 / 64
"""How much one request counts in that share, and in the mean of the seconds that answers take."""
BELOW = 0.8
"""Requests with fewer in flight than this part of what the server has taken at once tell that share."""
NEARLY = 0.9
"""The part of the number that is in flight where a refusal is for that."""
SAME = 0.1
"""The part by which the number changes without measuring latency anew."""


class Limit:
    """The number of one server: `value`. minimum, start, maximum: of the number; where minimum and maximum are equal it
    stays as it is."""

    def __init__(self, minimum: int = MINIMUM, start: int = START, maximum: int = MAXIMUM) -> None:
        self._minimum, self._maximum = minimum, maximum
        self._exact = self._measured = float(min(max(start, minimum), maximum))
        self.value = int(self._exact)
        self._is_doubling = True
        self._start = self._exact
        self._is_quick = True  # it doubles without exact measurements
        self._quick: list[float] = []  # the seconds of all answers of such a round
        self._longest = math.inf  # the mean of the first, where there is some queue
        self._ceiling = 0.0  # the number at which the server last refused a request
        self._step = 1.0
        self._patient_until = 0.0
        self._kept = math.inf  # the number before it was last raised
        self._closed = 0.0  # the seconds that the last refusal has closed the gate for
        self._seconds: list[float] = []  # since latency is measured anew
        self._sum = self._squares = 0.0
        self._old = self.value  # answers that say nothing of latency: the first are the shortest ones
        self._answered = 0
        self._refused = 0
        self._usual = math.inf
        self._tried: tuple[float, float] | None = None  # the number that was cut, and the mean at it
        self._mean = 0.0
        self._rounds = 0
        self._taken = 0.0  # the most in flight that the server has taken
        self._borne = 0.0

    @property
    def seconds(self) -> float:
        """The seconds that an answer takes, on the average; 0.0 before there was one."""
        return self._mean

    @property
    def is_refused_now_and_then(self) -> bool:
        """Whether the server has refused requests, so that its limit is near."""
        return self._ceiling > 0

    def answered(self, begun: int, seconds: float, now: float) -> None:
        """A request was answered. begun: how many were in flight when it was sent, with it. seconds: that it took."""
        self._answered += 1
        self._taken = max(self._taken, begun)
        self._mean += (seconds - self._mean) * (LEARNING if self._mean else 1.0)
        if self._minimum == self._maximum:
            return
        self._learn(begun, 0.0)
        if self._borne and now >= self._patient_until:
            self._set(self._exact + self._borne)
        if self._is_quick:
            self._quick.append(seconds)
        self._old -= 1
        if self._old < 0:
            self._seconds.append(seconds)
            self._sum += seconds
            self._squares += seconds * seconds
        if self._answered < self.value:
            return
        is_refused = self._refused > self._borne * self._answered + 2 * math.sqrt(self._borne * self._answered)
        if self._is_quick and not is_refused:
            self._double_quickly(now)
            return
        if not is_refused and not self._is_measured():
            return
        self._rounds += 1
        self._taken *= 0.99
        if is_refused:
            self._is_doubling = False
            self._step = 1.0
            self._grow(now)
        else:
            self._judge(now)
        self._answered = self._refused = 0
        self._forget()

    def _double_quickly(self, now: float) -> None:
        """One of the first rounds has ended without refusals."""
        self._answered = 0
        seconds, self._quick = self._quick, []
        mean = statistics.fmean(seconds) if seconds else 0.0
        error = statistics.pstdev(seconds) / math.sqrt(len(seconds)) if seconds else 0.0
        is_long = mean - error > self._longest
        if self._longest == math.inf:
            self._longest = (mean + error) / (1 - LITTLE_QUEUE)
        if is_long or self._exact >= self._maximum:
            self._is_quick = False
            self._set(self._start if is_long else self._exact)
            return
        self._grow(now)

    def failed(self) -> None:
        """A request ended without an answer and was not refused either."""
        self._answered += 1

    def refused(self, begun: int, in_flight: int, closed: float, now: float) -> None:
        """A request was refused. begun: see `answered`. in_flight: how many there are now, with this one. closed: the
        seconds for which nothing is sent."""
        if not closed:
            self._learn(begun, 1.0)
        if not self._refused:
            self._ceiling = self._exact
        self._refused += 1
        if self._refused > 1 or not self._borne:
            self._is_doubling = self._is_quick = False
        self._tried = None
        self._closed = closed
        if closed:
            longest = max(LONGEST_PATIENCE, LEAST_PATIENCE * closed)
            self._patient_until = now + closed + min(PATIENCE * closed, longest)
        less = self._exact * (1 - 1 / max(in_flight, 1))
        if closed and in_flight >= NEARLY * self._exact:
            less = min(less, in_flight - 1.0)  # each further refusal costs the seconds again
        if closed > self._mean:  # what was tried is taken back at once
            less = min(less, max(self._kept, in_flight - 1.0))
        self._set(less)

    def begin_again(self) -> None:
        """The server has refused everything for a while, and now answers: what it can take is found anew."""
        self._is_doubling = True
        self._refused = 0
        self._patient_until = 0.0
        self._ceiling = 0.0

    def _learn(self, begun: int, refused: float) -> None:
        """Learn how often the server refuses without regard to what is in flight."""
        if begun <= BELOW * self._taken:
            self._borne = min(self._borne + LEARNING * (refused - self._borne), MOST_BORNE)

    def _is_measured(self) -> bool:
        """Whether there are enough answers for a mean."""
        count = len(self._seconds)
        if count < self.value:
            return False
        if count >= MOST_MEASURED:
            return True
        return self._error() <= EXACT

    def _forget(self) -> None:
        self._seconds.clear()
        self._sum = self._squares = 0.0

    def _error(self) -> float:
        """The standard error of the mean, as a part of it."""
        count = len(self._seconds)
        if not self._sum:
            return 0.0
        return math.sqrt(max(0.0, self._squares - self._sum * self._sum / count)) / self._sum

    def _typical(self) -> float:
        """The mean, in which the longest twentieth counts as what is just shorter: a queue makes it as
        much longer as itself."""
        ordered = sorted(self._seconds)
        most = ordered[-1 - len(ordered) // 20]
        return sum(min(each, most) for each in ordered) / len(ordered)

    def _judge(self, now: float) -> None:
        """A round without refusals has ended."""
        typical = self._typical()
        if self._tried is not None:
            self._learn_usual(typical)
            return
        self._usual = typical if self._usual == math.inf else min(self._usual, (self._usual + typical) / 2)
        queue = 1 - self._usual / typical if typical > 0 else 0.0
        error = self._error()
        is_long = typical * (1 - error) > self._usual * (1 + error) / (1 - QUEUE)
        if is_long or (queue > LITTLE_QUEUE and self._rounds >= ROUNDS_BETWEEN):
            self._rounds = 0
            self._is_doubling = False
            self._step = 1.0
            self._tried = self._exact, typical
            self._set(max(WITHOUT_QUEUE * self._exact * self._usual / typical, self._exact / 3))
            return
        if queue >= LITTLE_QUEUE:
            self._is_doubling = False
        if queue < SOME_QUEUE:
            self._grow(now)

    def _learn_usual(self, typical: float) -> None:
        """The number was cut to see whether latency falls with it; it has fallen to `typical`."""
        number, before = self._tried or (self._exact, typical)
        self._tried = None
        self._usual = typical
        if typical > before * math.sqrt(self._exact / number):
            self._set(number)
        else:
            self._set(min(number, WITH_QUEUE * number * typical / before))

    def _grow(self, now: float) -> None:
        if now < self._patient_until:
            return
        if self._is_doubling:
            self._set(2 * self._exact)
            return
        if self._exact < self._ceiling:
            self._step = max(min(1.0, MOST_TRIED * self._exact), (self._ceiling - self._exact) / APPROACH)
        elif not self._refused:  # above where it was refused: the server takes more than it did
            self._step = min(3 * self._step, self._exact)
        self._kept = self._exact
        is_dear = self._closed > self._mean
        self._set(self._exact + (max(self._step, BOLD * self._exact) if is_dear else self._step))

    def _set(self, exact: float) -> None:
        self._exact = min(max(exact, float(self._minimum)), float(self._maximum))
        self.value = int(self._exact + 1e-9)
        if abs(self._exact - self._measured) > SAME * self._measured:
            self._old = int(max(self._exact, self._measured))
            self._measured = self._exact
            self._forget()
