"""The processes in which an engine answers items, and how many each has in progress."""

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from agentkit.batch.item import Record
from agentkit.batch.remote import Reply

Answers = Future[list[Record]]


class Lost(Exception):
    """An engine has lost the items of a task. died: with the process that answered them. begun: one of them may have
    been."""

    def __init__(self, why: str, died: bool = False, begun: bool = True) -> None:
        super().__init__(why)
        self.died = died
        self.begun = begun


def is_death(future: Answers) -> bool:
    """Whether a task that failed was lost with the process it was in."""
    error = None if future.cancelled() else future.exception()
    return isinstance(error, Lost) and error.died


@dataclass(eq=False)
class Place:
    """A process. name: for messages. window: how many items it may have in progress. process: see `process_here`."""

    name: str
    window: int
    process: str = ""
    is_paused: bool = False
    tasks: dict[Answers, int] = field(default_factory=dict)

    @property
    def room(self) -> int:
        return 0 if self.is_paused else self.window - sum(self.tasks.values())


class Places:
    """The places of an engine; thread-safe. most: how many items they have in progress together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: dict[str, Place] = {}
        self._lock = threading.Lock()

    @property
    def width(self) -> int:
        """How many items may be in progress now."""
        with self._lock:
            return min(self._most, sum(place.window for place in self._places.values() if not place.is_paused))

    def add(self, place: Place) -> None:
        with self._lock:
            self._places[place.name] = place

    def choose(self, count: int) -> tuple[Place | None, Answers]:
        """The place with the most room, and the Future of `count` items that are begun there. Without any place, None
        and a Future that has failed."""
        future: Answers = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if self._places:
                place = max(self._places.values(), key=lambda place: place.room)
                place.tasks[future] = count
                return place, future
        future.set_exception(Lost("there is no worker at the moment", begun=False))
        return None, future

    def pause(self, place: Place, is_paused: bool) -> None:
        """Begin nothing at a place for a while, or go on."""
        with self._lock:
            place.is_paused = is_paused

    def settle(self, place: Place, future: Answers, reply: Reply) -> None:
        """Take in the reply to a task. A place that has a problem is not used any more."""
        if reply["problem"]:
            self.leave(place)
            is_other = reply["process"] != place.process
            self.lose(place, future, Lost(reply["problem"], died=is_other, begun=is_other))
            return
        with self._lock:
            place.window = max(1, reply["width"])
            is_waited_for = place.tasks.pop(future, None) is not None
        if is_waited_for:
            future.set_result(reply["records"])

    def lose(self, place: Place, future: Answers, lost: Lost) -> None:
        """A task has no result."""
        with self._lock:
            is_waited_for = place.tasks.pop(future, None) is not None
        if is_waited_for:
            future.set_exception(lost)

    def leave(self, place: Place) -> None:
        """Begin nothing more at a place; what it has in progress may still come."""
        with self._lock:
            if self._places.get(place.name) is place:
                del self._places[place.name]

    def all(self) -> list[Place]:
        with self._lock:
            return list(self._places.values())
