"""Sets of whole numbers that lie close together, such as those of the messages that are left out of a history."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Set
from itertools import chain

Range = tuple[int, int]
"""The first number and the one behind the last."""


class NumberRanges(Set[int]):
    """A set of whole numbers that does not change. It takes as much room as there are gaps in it, and what is done with
    it takes as long."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._ranges: list[Range] = _joined(_ranges_of(numbers))

    def __repr__(self) -> str:
        return f"NumberRanges({', '.join(f'{first}..{end - 1}' for first, end in self._ranges)})"

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        place = bisect_right(self._ranges, number, key=_first) - 1
        return place >= 0 and number < self._ranges[place][1]

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(range(first, end) for first, end in self._ranges)

    def __len__(self) -> int:
        return sum(end - first for first, end in self._ranges)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, NumberRanges):
            return self._ranges == other._ranges
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def plus(self, numbers: Iterable[int]) -> "NumberRanges":
        """This set and other numbers; a `range` counts as one."""
        made = NumberRanges()
        made._ranges = _joined(chain(self._ranges, _ranges_of(numbers)))
        return made

    def missing(self, start: int, end: int) -> Iterator[int]:
        """The numbers from `start` up to `end`, without it, that are not in the set."""
        place = max(0, bisect_right(self._ranges, start, key=_first) - 1)
        for first, behind in self._ranges[place:]:
            if first >= end:
                break
            yield from range(start, first)
            start = max(start, behind)
        yield from range(start, end)


def _first(each: Range) -> int:
    return each[0]


def _ranges_of(numbers: Iterable[int]) -> Iterable[Range]:
    if isinstance(numbers, range) and numbers.step == 1:
        return [(numbers.start, numbers.stop)] if numbers else []
    return ((number, number + 1) for number in numbers)


def _joined(ranges: Iterable[Range]) -> list[Range]:
    """Ranges in order, none of which touches another."""
    made: list[Range] = []
    for first, end in sorted(ranges):
        if made and first <= made[-1][1]:
            made[-1] = (made[-1][0], max(made[-1][1], end))
        else:
            made.append((first, end))
    return made
