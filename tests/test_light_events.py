"""Events whose condition is made by the first thread that waits."""

import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from agentkit._threads import LightEvent
from agentkit.net.abort import AbortingEvent
from agentkit.tooling.closing import Closing

KINDS = (threading.Event, LightEvent, AbortingEvent, lambda: Closing(None))


@pytest.mark.parametrize("make", KINDS)
def test_it_is_as_an_event_of_the_standard_library(make: type[threading.Event]) -> None:
    event = make()
    assert isinstance(event, threading.Event)
    assert not event.is_set()
    assert not event.wait(0)
    assert not event.wait(0.001)
    event.set()
    event.set()
    assert event.is_set()
    assert event.wait()
    assert event.wait(0)
    event.clear()
    assert not event.is_set()
    assert not event.wait(0)
    event.set()
    assert event.wait()
    assert f"{event!r}".endswith(": set>")


@pytest.mark.parametrize("make", KINDS)
def test_all_that_wait_are_woken(make: type[threading.Event]) -> None:
    event, woken = make(), []
    threads = [threading.Thread(target=lambda: woken.append(event.wait(30))) for _ in range(8)]
    for each in threads:
        each.start()
    time.sleep(0.05)
    assert woken == []
    event.set()
    for each in threads:
        each.join(30)
    assert woken == [True] * 8


def test_none_that_begins_to_wait_while_it_is_set_is_left() -> None:
    for _ in range(300):
        event, woken = LightEvent(), []
        waiting = [threading.Thread(target=lambda: woken.append(event.wait(30))) for _ in range(2)]
        setting = threading.Thread(target=event.set)
        for each in (waiting[0], setting, waiting[1]):
            each.start()
        for each in (*waiting, setting):
            each.join(30)
        assert woken == [True, True]


@pytest.fixture
def switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(*steps: Callable[[], object]) -> None:
    """Run each in a thread of its own, all from the same moment on."""
    start = threading.Barrier(len(steps))

    def run(step: Callable[[], object]) -> None:
        start.wait(30)
        step()

    threads = [threading.Thread(target=run, args=(each,), daemon=True) for each in steps]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert not any(each.is_alive() for each in threads)


@pytest.mark.usefixtures("switching_often")
@pytest.mark.parametrize("make", KINDS)
def test_none_of_many_is_left_when_several_set_it(make: type[threading.Event]) -> None:
    for _ in range(100):
        event, woken = make(), []
        together(*[lambda: woken.append(event.wait(20))] * 12, *[event.set] * 3)
        assert woken == [True] * 12


@pytest.mark.usefixtures("switching_often")
@pytest.mark.parametrize("make", KINDS)
def test_threads_take_turns_by_it(make: type[threading.Event]) -> None:
    """Each turn begins with an event that was cleared before the other one was set."""
    mine, other, turns = make(), make(), []

    def take(own: threading.Event, following: threading.Event) -> None:
        for _ in range(2000):
            assert own.wait(20)
            own.clear()
            turns.append(own)
            following.set()

    mine.set()
    together(lambda: take(mine, other), lambda: take(other, mine))
    assert turns == [mine, other] * 2000


@pytest.mark.usefixtures("switching_often")
@pytest.mark.parametrize("make", KINDS)
def test_to_wait_agrees_with_its_state_after_it_was_set_and_cleared_at_once(make: type[threading.Event]) -> None:
    event = make()
    event.wait(0)
    for _ in range(1000):
        together(event.set, event.clear, event.set, event.clear)
        assert event.wait(0) == event.is_set()
