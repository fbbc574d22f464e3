"""Runs at once, in threads."""

import threading
from collections.abc import Callable, Iterable


def in_threads(works: Iterable[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
