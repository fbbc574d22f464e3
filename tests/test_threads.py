"""The pool of threads."""

import functools
import threading

from agentkit._threads import Workers
from tests.support.waiting import until


class Impatient(Workers):
    """Its threads end sooner."""

    IDLE_SECONDS = 0.3


def test_threads_that_only_a_moment_needed_end_while_there_are_other_jobs() -> None:
    """pydantic/pydantic-ai#4883: idle threads took turns, so that all of a burst stayed under any load after it."""
    workers, together = Impatient(), threading.Barrier(21)
    threads: list[threading.Thread] = []

    def wait() -> None:
        threads.append(threading.current_thread())
        together.wait(10)

    for _ in range(20):
        workers.submit(wait)
    together.wait(10)

    def load() -> int:
        for _ in range(10):
            workers.call(lambda: threading.Event().wait(0.001))
        return sum(each.is_alive() for each in threads)

    until(lambda: load() <= 2, 10)


def test_a_job_is_run_by_a_thread_that_is_free() -> None:
    workers, goes_on = Workers(), threading.Event()

    def wait() -> None:
        goes_on.wait(10)

    workers.submit(wait)
    assert workers.call(lambda: "done") == "done"
    goes_on.set()


def test_jobs_that_come_while_threads_give_up_are_run() -> None:
    class Hasty(Workers):
        IDLE_SECONDS = 0.001

    workers = Hasty()
    assert [workers.call(functools.partial(abs, -number)) for number in range(500)] == list(range(500))
