"""How long tools take, which says whether starting them early is worth a thread."""

QUICK = 0.001
"""Seconds. A tool whose last calls took less is not started early: handing it to a thread would take as long."""


class ToolLatency:
    """How long the tools of an agent take; shared by its runs."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def note(self, name: str, seconds: float) -> None:
        """Record how long a call took; the last few count."""
        before = self._seconds.get(name, 1.0)
        self._seconds[name] = min(before, 16 * QUICK) / 4 + seconds * 3 / 4

    def is_quick(self, name: str) -> bool:
        """Whether the last calls of a tool were quick; False for one that was not called yet."""
        return self._seconds.get(name, 1.0) < QUICK
