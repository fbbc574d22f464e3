"""Which of several models can be asked: one that has failed is left alone for a while, and never for good."""

import threading
from time import monotonic

from agentkit._forking import freed_by_forks
from agentkit.net.server_failures import OUT_SECONDS


class ModelHealth:
    """What is known of the health of models, by their index; shared by threads.

    When its time is over, one request finds out whether the model answers again; until then the others go on without
    it, so that a server which hangs costs the time of one request and not of all.
    """

    def __init__(self, count: int) -> None:
        self._until: list[float | None] = [None] * count
        self._failed: list[float] = [0.0] * count
        self._lock = freed_by_forks(threading.Lock())

    def ready(self) -> list[int]:
        """The models that can be asked, in their order."""
        now = monotonic()
        return [place for place, until in enumerate(self._until) if until is None or until <= now]

    def begin(self, place: int) -> "Asking":
        """A model is asked now."""
        with self._lock:
            now, until = monotonic(), self._until[place]
            is_probe = until is not None and until <= now
            if is_probe:
                self._until[place] = now + OUT_SECONDS
            return Asking(self, place, now, is_probe)

    def note(self, asking: "Asking", out: float | None) -> None:
        """Record how a request ended. out: seconds for which the model is not asked; None: it has answered."""
        place = asking.place
        with self._lock:
            if out is not None:
                self._failed[place] = now = monotonic()
                self._until[place] = max(now + out, self._until[place] or 0.0) if not asking.is_probe else now + out
            elif asking.begun >= self._failed[place]:  # else it failed since, for another request
                self._until[place] = None

    def release(self, asking: "Asking") -> None:
        """A request ended without a sign of the model's health: another one may find out."""
        if asking.is_probe:
            with self._lock:
                self._until[asking.place] = monotonic()


class Asking:
    """One request to one model. begun: the time of `time.monotonic`. is_probe: whether it finds out if the model
    answers again."""

    def __init__(self, health: ModelHealth, place: int, begun: float, is_probe: bool) -> None:
        self.place, self.begun, self.is_probe = place, begun, is_probe
        self._health = health
        self._is_open = True

    def answered(self) -> None:
        """The model has answered."""
        self._is_open = False
        self._health.note(self, None)

    def failed(self, out: float) -> None:
        """The model has failed. out: seconds for which it is not asked; 0: the failure says nothing of its health."""
        if out > 0:
            self._is_open = False
            self._health.note(self, out)
        self.end()

    def end(self) -> None:
        """The request is over."""
        if self._is_open:
            self._is_open = False
            self._health.release(self)
