"""The sources of a run as its tools see them (`ctx.sources`)."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from agentkit._lazy.patterns import pattern
from agentkit._lazy.records import dataclass, replace
from agentkit.evidence.ledger import Ledger
from agentkit.evidence.source import Source

UNSETTLED = 7_310_550_000_000_000
"""The numbers of a call that has not ended count from here. They become those of the run, wherever they stand in the
result, in the order in which the calls are answered, so that a run is the same each time, however its threads go."""

_UNSETTLED = pattern(r"(?<!\d)73105500000\d{5}(?!\d)")


class Sources:
    """The sources of a run. ledger: where they are kept. defers: whether the numbers of a call are settled by the run,
    in the order of the calls, and not by the call itself. around: the call inside of which the run is."""

    def __init__(
        self, ledger: Ledger | None = None, *, defers: bool = False, around: "CallSources | None" = None
    ) -> None:
        self.ledger = Ledger() if ledger is None else ledger
        self.defers = defers
        self.around = around

    def add(self, address: str, title: str = "", text: str = "", *, read: bool = True, also: Iterable[str] = ()) -> int:
        """Add a source, or another text of one that is known by its address, and return the number by which it is
        cited. See `Context.source`."""
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return self.note(Source(0, address, title, read, at, tuple(also), (text,) if text else ()))

    def note(self, source: Source) -> int:
        """Add a source as it was found, whatever its number there, and return the number that it has here."""
        number = self.ledger.note(source)
        found = self.ledger.get(number)
        if self.around is not None and found is not None:
            self.around.note_inside(found)
        return number

    def get(self, number: int) -> Source | None:
        """The source of a number, with its texts; None when there is none."""
        return self.ledger.get(number)

    def as_mapping(self) -> Mapping[int, Source]:
        """The sources by their numbers; their texts are read when they are asked for."""
        return _ByNumber(self.ledger)

    def of_call(self) -> "CallSources":
        """The sources of one tool call."""
        return CallSources(self)

    def settled(self, texts: Sequence[str], given: Sequence[Source]) -> tuple[tuple[str, ...], tuple[Source, ...]]:
        """The texts of a call's result with the numbers of the run in place of its own, and its sources with these
        numbers."""
        numbers = {each.number: each.number if each.number < UNSETTLED else self.note(each) for each in given}

        def number(found: re.Match[str]) -> str:
            return str(numbers.get(int(found.group()), found.group()))

        settled = tuple(_UNSETTLED.sub(number, text) for text in texts)
        return settled, tuple(replace(each, number=numbers[each.number]) for each in given)


class CallSources(Sources):
    """The sources of one tool call: those that it adds have numbers of their own, until it is answered."""

    def __init__(self, of: Sources) -> None:
        super().__init__(Ledger(keeps=of.ledger.keeps), defers=of.defers)
        self._of = of
        self._inside: dict[int, Source] = {}

    @property
    def given(self) -> tuple[Source, ...]:
        """What the call has added, and what the agents that it ran have."""
        own = [found for number in self.ledger.numbers if (found := self.get(UNSETTLED + number)) is not None]
        return (*self._inside.copy().values(), *own)

    def note(self, source: Source) -> int:
        """See `Sources.note`."""
        return UNSETTLED + self.ledger.note(source)

    def note_inside(self, source: Source) -> None:
        """An agent inside of the call has a source, under the number of the run; so has what is around the call."""
        self._inside[source.number] = source
        if self._of.around is not None:
            self._of.around.note_inside(source)

    def get(self, number: int) -> Source | None:
        """See `Sources.get`: one of the call's own, or of the run's."""
        if number < UNSETTLED:
            return self._of.get(number)
        found = self.ledger.get(number - UNSETTLED)
        return None if found is None else replace(found, number=number)

    def as_mapping(self) -> Mapping[int, Source]:
        """See `Sources.as_mapping`: those of the run."""
        return self._of.as_mapping()

    def of_call(self) -> "CallSources":
        """See `Sources.of_call`: a tool that this one calls is a part of its call."""
        return self

    def nested(self) -> Sources:
        """The sources of an agent that runs inside of the call: those of the run."""
        return Sources(self._of.ledger, defers=True, around=self)


def given_by(sources: Sources) -> tuple[Source, ...]:
    """What a call has added; nothing for what is no call's."""
    return sources.given if isinstance(sources, CallSources) else ()


def named_in(text: str, sources: Sequence[Source]) -> tuple[Source, ...]:
    """Those of the sources of a call whose numbers stand in a text."""
    return tuple(source for source in sources if str(source.number) in text)


@dataclass(frozen=True)
class _ByNumber(Mapping[int, Source]):
    ledger: Ledger

    def __getitem__(self, number: int) -> Source:
        found = self.ledger.get(number)
        if found is None:
            raise KeyError(number)
        return found

    def __iter__(self) -> Iterator[int]:
        return iter(self.ledger.numbers)

    def __len__(self) -> int:
        return self.ledger.count
