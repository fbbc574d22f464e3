"""What a fleet takes from a batch, and when those that wait for something to take are woken."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest

from agentkit.batch.budget import BatchBudget, BatchLimits
from agentkit.batch.feed import BatchFeed
from agentkit.batch.futures import MAX_CHUNK, FutureFleet
from agentkit.batch.item import Item, Record
from agentkit.batch.job import Job
from agentkit.batch.records import not_run
from agentkit.batch.stats import Counting
from agentkit.batch.threads import ThreadFleet
from tests.support.batch_agents import obedient
from tests.support.waiting import until


def feed_of(count: int) -> BatchFeed:
    return BatchFeed(
        ((Item(str(number), f"{number}"), "ask") for number in range(count)),
        budget=BatchBudget(BatchLimits(None, None, None)),
        counting=Counting(count, 0),
        journal=None,
        alone=lambda item: None,
        finish=None,
        has_effects=False,
    )


def record_of(item: Item, seconds: float = 0.01) -> Record:
    return {**not_run(item, "bad_input"), "ok": True, "error": None, "output": "yes", "seconds": seconds}


@pytest.fixture
def waiting() -> Iterator[Callable[[BatchFeed, int], list[list[Item]]]]:
    """Begins threads that take from a feed that has nothing now; what each has got."""
    threads: list[threading.Thread] = []

    def begin(feed: BatchFeed, count: int) -> list[list[Item]]:
        got: list[list[Item]] = []
        threads.extend(threading.Thread(target=lambda: got.append(feed.take())) for _ in range(count))
        for thread in threads:
            thread.start()
        until(lambda: feed._waiting == count)
        return got

    yield begin
    for thread in threads:
        thread.join(10)


def test_threads_that_wait_are_not_woken_for_each_of_the_last_items(
    waiting: Callable[[BatchFeed, int], list[list[Item]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = feed_of(20)
    items = feed.take(20)
    told: list[int] = []
    notify = feed._changed.notify_all

    def tell() -> None:
        told.append(feed.in_progress)
        notify()

    monkeypatch.setattr(feed._changed, "notify_all", tell)
    got = waiting(feed, 8)

    for item in items[:-1]:
        feed.put(item, record_of(item))

    assert told == []
    feed.put(items[-1], record_of(items[-1]))
    until(lambda: len(got) == 8)
    assert (told, got) == ([0], [[]] * 8)


def test_one_of_those_that_wait_takes_an_item_that_was_lost(
    waiting: Callable[[BatchFeed, int], list[list[Item]]],
) -> None:
    feed = feed_of(2)
    first, second = feed.take(2)
    got = waiting(feed, 3)
    feed.lose([first], died=False)
    until(lambda: got == [[first]])
    feed.put(second, record_of(second))
    feed.put(first, record_of(first))
    until(lambda: len(got) == 3)
    assert got[1:] == [[], []]


def test_those_that_wait_for_a_budget_are_woken_when_an_item_has_ended() -> None:
    feed = feed_of(40)
    feed._budget = BatchBudget(BatchLimits(None, 10_000, None))
    items = feed.take(40)
    assert len(items) == BatchBudget.FIRST
    got: list[list[Item]] = []
    thread = threading.Thread(target=lambda: got.append(feed.take()))
    thread.start()
    until(lambda: feed._waiting == 1)
    feed.put(items[0], record_of(items[0]))
    thread.join(10)
    assert len(got[0]) == 1


def test_a_fleet_of_threads_ends_with_its_last_lane() -> None:
    feed = feed_of(40)
    fleet = ThreadFleet()
    fleet.start(Job.of(obedient(), at_once=8), feed)
    assert fleet.join(10)
    assert feed.in_progress == 0
    assert feed.records.qsize() == 40
    fleet.close()


class Engine:
    """An engine whose items take as long as it says, and which answers at once. sizes: of its tasks."""

    width, inner, ended = 64, 1, ""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.sizes: list[int] = []

    def start(self, job: Job) -> None:
        pass

    def submit(self, job: Job, items: list[Item]) -> "Future[list[Record]]":
        self.sizes.append(len(items))
        future: Future[list[Record]] = Future()
        future.set_result([record_of(item, self.seconds) for item in items])
        return future

    def lost(self, future: "Future[list[Record]]") -> bool:
        return False

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("seconds", "least", "most"), [(0.001, MAX_CHUNK, MAX_CHUNK), (0.05, 3, 4), (0.11, 1, 1), (2.0, 1, 1)]
)
def test_short_questions_share_a_task_and_others_do_not(seconds: float, least: int, most: int) -> None:
    engine, feed = Engine(seconds), feed_of(800)
    fleet = FutureFleet(engine)
    fleet.start(Job.of("tests.support.batch_agents:obedient"), feed)
    assert fleet.join(20)
    fleet.close()
    assert sum(engine.sizes) == feed.records.qsize() == 800
    assert engine.sizes[0] == 1  # nothing is known of them yet
    assert least <= max(engine.sizes) <= most
