"""How much work the repair of one JSON text may take: the json_repair package takes quadratic time for some texts.

The work is counted and not timed, so that a text is repaired or refused alike on each machine, however busy.
"""

from typing import Any

from agentkit.net.abort import Aborted, is_aborted

MAX_STEPS = 300_000
"""Steps for a long text: about half a second on a slow core."""
FREE_STEPS = 2_000
STEPS_PER_CHARACTER = 20
"""json_repair reads a character of a text as models write it 1 to 10 times, and of a long one at most 5 times."""
_QUICK = 64
"""Characters that are copied or compared in the time of one step."""
_LOOK_EVERY = 2_000
"""Steps after which it is looked whether the request is aborted whose reply has the text."""
_LISTS_SQUARED = 32
"""How many lists, times the number of lists, are looked through in the time of one step."""


class TooMuchWorkError(ValueError):
    """The repair of a text takes more steps than it may."""


class Budget:
    """The steps that are left for the repair of a text. It raises Aborted once the request of this thread is aborted:
    nobody waits for the text then."""

    def __init__(self, text: str) -> None:
        self._left = min(FREE_STEPS + STEPS_PER_CHARACTER * len(text), MAX_STEPS)
        self._look_at = self._left

    def spend(self, characters: int = 0) -> None:
        """Take a step, and those for characters that are copied or compared in C; raises TooMuchWorkError when none are
        left."""
        self._left -= 1 + characters // _QUICK
        if self._left < 0:
            raise TooMuchWorkError("it is too broken to repair")
        if self._left < self._look_at:
            self._look_at = self._left - _LOOK_EVERY
            if is_aborted():
                raise Aborted

    def spend_on_lists(self, count: int) -> None:
        """Take the steps for lists that directly follow lists: json_repair looks through all earlier ones for each."""
        self.spend(_QUICK * count * count // _LISTS_SQUARED)


class CountedText(str):
    """A text each read of which takes a step of a budget; json_repair reads its input by index."""

    __slots__ = ("_budget",)
    _budget: Budget

    def __new__(cls, text: str, budget: Budget) -> "CountedText":
        made = super().__new__(cls, text)
        made._budget = budget
        return made

    def __getitem__(self, index: Any) -> str:
        read = super().__getitem__(index)
        self._budget.spend(len(read))
        return read
