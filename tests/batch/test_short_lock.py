"""The lock that the threads of a batch pass for each item: `agentkit.batch.short_lock`."""

import threading
import time

import pytest

from agentkit.batch.short_lock import ShortLock


def test_one_thread_at_a_time_is_within_it() -> None:
    lock, within, most, passes = ShortLock(threading.Lock()), [0], [0], [0]

    def work() -> None:
        for _ in range(50):
            with lock:
                within[0] += 1
                most[0] = max(most[0], within[0])
                count = passes[0]
                time.sleep(0.0001)  # lets others run, who must not get in
                passes[0] = count + 1
                within[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (most[0], passes[0]) == (1, 400)


def test_one_that_is_held_for_long_is_waited_for() -> None:
    inner, entered = threading.Lock(), threading.Event()

    def work() -> None:
        with ShortLock(inner):
            entered.set()

    inner.acquire()
    thread = threading.Thread(target=work)
    thread.start()
    assert not entered.wait(0.1)
    inner.release()
    assert entered.wait(30)
    thread.join(30)
    assert not inner.locked()


def test_an_error_releases_it() -> None:
    inner = threading.Lock()
    with pytest.raises(ValueError, match="broken"), ShortLock(inner):
        raise ValueError("broken")
    assert not inner.locked()


def test_a_thread_enters_one_of_an_rlock_again() -> None:
    lock = ShortLock(threading.RLock())
    with lock, lock:
        pass
