"""Checks how the time of some work grows with its input."""

import time
from collections.abc import Callable


def assert_linear(work: Callable[[int], object], size: int) -> None:
    """Check that twice the input takes at most 2.5 times the CPU time, in one of up to 8 tries, since other processes
    disturb the measurement."""
    tries = [(_seconds(work, size), _seconds(work, 2 * size)) for _ in range(3)]
    for _ in range(5):
        if any(double < 2.5 * max(single, 0.004) for single, double in tries):
            return
        tries.append((_seconds(work, size), _seconds(work, 2 * size)))
    raise AssertionError(f"the times for {size:,} and {2 * size:,} are {tries}")


def _seconds(work: Callable[[int], object], size: int) -> float:
    started = time.process_time()
    work(size)
    return time.process_time() - started
