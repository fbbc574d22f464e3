"""Checks how the time of some work grows with its input."""

import time
from collections.abc import Callable


def assert_linear(work: Callable[[int], object], size: int) -> None:
    """Check that twice the input takes at most 2.5 times the CPU time, in one of up to 8 tries, since other processes
    disturb the measurement."""
    tries = []
    for _ in range(8):
        tries.append((seconds(work, size), seconds(work, 2 * size)))
        single, double = tries[-1]
        if double < 2.5 * max(single, 0.004):
            return
    raise AssertionError(f"the times for {size:,} and {2 * size:,} are {tries}")


def seconds(work: Callable[[int], object], size: int) -> float:
    """The CPU time of this thread for the work."""
    started = time.thread_time()
    work(size)
    return time.thread_time() - started
