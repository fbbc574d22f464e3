"""Which connection has to go when there are too many, how often a line is logged, and how far a run may be ahead."""

import asyncio
import logging
import threading
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agentkit.event import ReasoningDelta, TextDelta
from agentkit.serving.http.connections import ConnectionLimits, Connections
from agentkit.serving.http.logs import LINES, Repetitions
from agentkit.serving.http.updates import AT_ONCE, Update, Updates, merged


@dataclass(eq=False)
class Fake:
    """A connection. state: idle, receiving or busy."""

    state: str = "idle"
    is_dropped: bool = field(default=False)

    @property
    def is_idle(self) -> bool:
        return self.state == "idle"

    @property
    def is_receiving(self) -> bool:
        return self.state == "receiving"

    def drop(self) -> None:
        self.is_dropped = True


def opened(connections: Connections, count: int, address: str = "a", state: str = "idle") -> list[Fake]:
    made = [Fake(state) for _ in range(count)]
    for each in made:
        connections.enter(each, address)
    return made


def test_the_connection_that_has_waited_longest_goes() -> None:
    connections = Connections(ConnectionLimits(total=4, per_address=4))
    busy, first, second = (opened(connections, 1, state=state)[0] for state in ("busy", "idle", "idle"))
    slow = opened(connections, 1, state="receiving")[0]
    connections.used(first)  # so that the second one has waited longer
    gone = []
    for _ in range(3):
        newest = opened(connections, 1, state="busy")[0]
        gone += [each for each in (busy, first, second, slow, newest) if each.is_dropped and each not in gone]
    assert gone == [second, first, slow]


def test_an_address_with_too_many_connections_costs_its_own() -> None:
    connections = Connections(ConnectionLimits(total=100, per_address=3))
    other = opened(connections, 1, "b")[0]
    many = opened(connections, 10, "a")
    assert [each.is_dropped for each in many] == [True] * 7 + [False] * 3
    assert not other.is_dropped


def test_when_all_are_busy_some_more_are_told_so_and_the_rest_are_closed() -> None:
    connections = Connections(ConnectionLimits(total=100, per_address=4))
    made = opened(connections, 8, state="busy")
    assert [each.is_dropped for each in made] == [False] * 6 + [True] * 2
    assert "from your address" in str(connections.overload(made[0]))
    for each in made[:3]:
        connections.leave(each)
    assert connections.overload(made[3]) is None


def test_a_line_is_logged_some_times_and_then_counted() -> None:
    lines = Repetitions()

    def kept(message: str, line: int) -> bool:
        return lines.filter(logging.LogRecord("x", logging.WARNING, "file.py", line, message, (), None))

    assert sum(kept("again", 1) for _ in range(1000)) == LINES
    assert kept("another place", 2)


@given(st.lists(st.sampled_from([TextDelta("a"), TextDelta("b"), ReasoningDelta("c"), ValueError("x"), None])))
def test_merged_updates_say_the_same(updates: list[Update | BaseException]) -> None:
    def flat(each: Update | BaseException) -> list[object]:
        return [(type(each), letter) for letter in getattr(each, "text", "")] or [each]

    joined = list(merged(updates))
    assert [part for each in joined for part in flat(each)] == [part for each in updates for part in flat(each)]
    assert all(not (isinstance(one, TextDelta) and isinstance(two, TextDelta)) for one, two in pairwise(joined))


def test_a_run_waits_for_a_reader_that_takes_nothing() -> None:
    async def read() -> list[int]:
        counts: list[int] = []
        updates = Updates(cancel.is_set, lambda: 1)

        def produce() -> None:
            for _ in range(3 * AT_ONCE):
                updates.put(None)
                counts.append(1)

        working = asyncio.get_running_loop().run_in_executor(None, produce)
        await asyncio.sleep(0.1)
        seen = [len(counts)]
        await updates.take(1)
        await asyncio.sleep(0.1)
        seen.append(len(counts))
        cancel.set()
        await working
        return [*seen, len(counts)]

    cancel = threading.Event()
    assert asyncio.run(read()) == [AT_ONCE, 2 * AT_ONCE, 3 * AT_ONCE]
