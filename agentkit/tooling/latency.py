"""How long tools take, which says whether starting them early is worth a thread, and a stream."""

from collections.abc import Callable

QUICK = 0.001
"""Seconds. A tool whose last calls took less is not started early: handing it to a thread would take as long."""

SHORT = 0.01
"""Seconds. For tools that took less no stream is requested that nobody reads: it costs more than they would gain."""


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

    def may_gain(self, may_begin: Callable[[str], bool]) -> bool:
        """Whether a run may end sooner when tools start early: one of them takes long, or none was called yet.
        may_begin: whether the tool of a name may start early at all."""
        known = [seconds for name, seconds in list(self._seconds.items()) if may_begin(name)]
        return not known or max(known) >= SHORT
