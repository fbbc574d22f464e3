"""Where the questions of a batch are answered: threads of this process, or processes and machines of an engine."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from agentkit.batch.item import Item, Record

if TYPE_CHECKING:
    from agentkit.batch.job import Job


class Feed(Protocol):
    """What a fleet takes items from and gives records to. All methods may be called in any thread."""

    def take(self, most: int = 1) -> list[Item]:
        """The next items, at most that many; they count as begun, and the budget of the batch has room for them. Waits
        while there may be some later (one that was lost comes back); an empty list when there are none any more, or the
        batch is being stopped."""
        ...

    def put(self, item: Item, record: Record) -> None:
        """The record of an item that was taken."""
        ...

    def lose(self, items: Sequence[Item], *, died: bool, begun: bool = True) -> None:
        """Items that were taken and have no record, because the engine has lost them. died: the process in which they
        were died, so that one of them may be what kills it: they are answered in a process of their own, one by one.
        begun: they may have been begun; False where they were not sent."""
        ...

    def fail(self, error: BaseException) -> None:
        """The fleet can answer nothing any more: the batch is stopped, and its reader gets the error."""
        ...


class Fleet(Protocol):
    """Where items are answered."""

    @property
    def width(self) -> int:
        """How many items it has in progress at most, as it is now."""
        ...

    def start(self, job: "Job", feed: Feed) -> None:
        """Begin to answer the items of the feed, in threads of its own, until `feed.take` returns none. Raises
        ConfigurationError when it can't, before any item is taken."""
        ...

    def join(self, seconds: float | None) -> bool:
        """Wait until all items that were taken are answered or lost; False when they are not after that time."""
        ...

    def cancel(self) -> None:
        """Stop what is in progress: such runs end soon, and their records have "stopped": "cancelled"."""
        ...

    def close(self) -> None:
        """Release threads, processes and connections; what is still in progress is left behind."""
        ...


class Engine(Protocol):
    """Runs the items of one task somewhere else; `agentkit.batch.futures.FutureFleet` makes a fleet of it."""

    @property
    def width(self) -> int:
        """How many items it has in progress at most, as it is now."""
        ...

    @property
    def inner(self) -> int:
        """How many items it wants in one task, which are answered at the same time, in threads of its own."""
        ...

    @property
    def ended(self) -> str:
        """Why it can run nothing any more, and what to do; "" while it can."""
        ...

    def start(self, job: "Job") -> None:
        """Check that the workers can answer items of the job: before any was taken. Raises ConfigurationError."""
        ...

    def submit(self, job: "Job", items: list[Item]) -> "Future[list[Record]]":
        """Have the items answered by `agentkit.batch.remote.answer` in another process. A record for each item, in
        their order; a Future that fails means that the engine has lost them, and never that an answer failed."""
        ...

    def lost(self, future: "Future[list[Record]]") -> bool:
        """Whether the process of a task that failed has died (see `Feed.lose`)."""
        ...

    def cancel(self) -> None:
        """See `Fleet.cancel`."""
        ...

    def close(self) -> None:
        """Release processes and connections."""
        ...
