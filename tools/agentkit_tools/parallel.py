"""Applies a function to several items in parallel."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Output = TypeVar("Output")


def in_parallel(function: Callable[[Item], Output], items: Sequence[Item], seconds: float) -> list[Output | Exception]:
    """Returns the result of `function` for each item, or the exception it raised, in the order of the items; a
    TimeoutError for items that take longer than `seconds`.

    Uses daemon threads: the threads of a pool would keep an exiting program waiting for a slow server.
    """
    results: list[Output | Exception] = [TimeoutError(f"it took longer than {seconds:g} seconds") for _ in items]

    def work(index: int, item: Item) -> None:
        try:
            results[index] = function(item)
        except Exception as error:  # noqa: BLE001 - returned to the caller
            results[index] = error

    threads = [threading.Thread(target=work, args=pair, daemon=True) for pair in enumerate(items)]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return list(results)  # a copy: threads that finish later can't change it
