"""Events whose condition is made by the first thread that waits."""

import threading
import time

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
