"""Researchers at work in threads."""

import functools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from agentkit._threads import WORKERS
from agentkit.research.events import ResearchEvent
from agentkit.research.researcher import Researcher

PATIENCE = 5.0
"""Seconds that researchers get to stop, where the research is interrupted."""


@dataclass(frozen=True)
class Ended:
    """The work of a researcher has ended. stopped: why; error: what it has raised."""

    place: int
    stopped: str
    error: Exception | None = None


Inbox = SimpleQueue[ResearchEvent | Ended]


def worked(
    researchers: Sequence[Researcher],
    parallel: int,
    inbox: Inbox,
    cancel: threading.Event,
    on_event: Callable[[ResearchEvent], object],
    stops: Callable[[], str | None] = lambda: None,
) -> list[Ended]:
    """Let the researchers work, `parallel` at once, and return how each has ended. inbox: where they report; what comes
    there is handed to `on_event` in this thread. stops: says why no other begins; None: the next one does. Where it is
    interrupted (Ctrl-C), all are stopped."""
    waiting, running = list(researchers), 0
    ended: list[Ended] = []
    why: str | None = None
    try:
        while waiting or running:
            why = "cancelled" if cancel.is_set() else stops()
            while waiting and running < parallel and why is None:
                WORKERS.submit(functools.partial(_work, waiting.pop(0), inbox))
                running += 1
            if not running:
                break
            came = inbox.get()
            if isinstance(came, Ended):
                ended.append(came)
                running -= 1
            else:
                on_event(came)
    except BaseException:
        cancel.set()
        _wait_for(running, inbox)
        raise
    return [*ended, *(Ended(each.place, why or "cancelled") for each in waiting)]


def _work(researcher: Researcher, inbox: Inbox) -> None:
    try:
        inbox.put(Ended(researcher.place, researcher.run()))
    except Exception as error:  # noqa: BLE001 - of the model's server, a tool, a store: the others go on
        inbox.put(Ended(researcher.place, f"error: {error}"[:300], error))
    except BaseException as error:  # noqa: BLE001 - SystemExit of a tool
        inbox.put(Ended(researcher.place, f"error: {type(error).__name__}"))


def _wait_for(running: int, inbox: Inbox) -> None:
    end = time.monotonic() + PATIENCE
    while running:
        try:
            running -= isinstance(inbox.get(timeout=max(0.0, end - time.monotonic())), Ended)
        except Empty:
            return
