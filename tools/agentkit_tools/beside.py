"""Doing several things beside each other."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def beside(function: Callable[[Given], Made], given: Sequence[Given], seconds: float) -> list[Made | Exception]:
    """What `function` makes of each, or raises for it, in order; a TimeoutError for what takes longer than `seconds`.

    In daemon threads: those of a pool would keep a program that is told to stop waiting for a slow server.
    """
    made: list[Made | Exception] = [TimeoutError(f"it took longer than {seconds:g} seconds") for _ in given]

    def work(place: int, each: Given) -> None:
        try:
            made[place] = function(each)
        except Exception as error:  # noqa: BLE001 - handed to the caller
            made[place] = error

    threads = [threading.Thread(target=work, args=pair, daemon=True) for pair in enumerate(given)]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return list(made)  # a copy: a thread that comes late changes nothing
