"""Doing several things beside each other."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def beside(function: Callable[[Given], Made], given: Sequence[Given]) -> list[Made | Exception]:
    """What `function` makes of each, or raises for it, in order.

    In daemon threads: those of a pool would keep a program that is told to stop waiting for a slow server.
    """
    made: list[Made | Exception] = [RuntimeError("not finished")] * len(given)

    def work(place: int, each: Given) -> None:
        try:
            made[place] = function(each)
        except Exception as error:  # noqa: BLE001 - handed to the caller
            made[place] = error

    threads = [threading.Thread(target=work, args=pair, daemon=True) for pair in enumerate(given)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made
