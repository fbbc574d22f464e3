"""A fleet of an engine: takes items while there is room for them, and gives back their records as they come."""

import contextlib
import threading
from queue import SimpleQueue

from agentkit._threads import WORKERS
from agentkit.batch.fleet import Engine, Feed
from agentkit.batch.item import Item
from agentkit.batch.job import Job
from agentkit.batch.places import Answers, Lost
from agentkit.errors import ConfigurationError

SHORT_SECONDS = 0.2
"""Items that take less than half of it go several in a task, whose own cost is some milliseconds of CPU: as many as
would take this long one after the other."""
MAX_CHUNK = 16
LOOK_SECONDS = 0.25
"""Seconds between two looks at the width of the engine while nothing comes back."""
_WEIGHT = 0.1


class FutureFleet:
    """See `agentkit.batch.fleet.Fleet`. One thread takes items and begins tasks, another gives back records."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._done: SimpleQueue[Answers | None] = SimpleQueue()
        self._changed = threading.Condition()
        self._tasks: dict[Answers, list[Item]] = {}
        self._in_flight = 0
        self._seconds = 1.0
        self._is_taking = False
        self._is_closed = False
        self._failure: BaseException | None = None

    @property
    def width(self) -> int:
        """See `Fleet.width`."""
        return self._engine.width

    def start(self, job: Job, feed: Feed) -> None:
        """See `Fleet.start`."""
        self._engine.start(job)
        self._is_taking = True
        WORKERS.submit(lambda: self._take(job, feed))
        WORKERS.submit(lambda: self._collect(feed))

    def join(self, seconds: float | None) -> bool:
        """See `Fleet.join`. Raises what the feed has raised."""
        with self._changed:
            ended = self._changed.wait_for(self._has_ended, seconds)
        if self._failure is not None:
            raise self._failure
        return ended

    def cancel(self) -> None:
        """See `Fleet.cancel`."""
        self._stop_taking()
        self._engine.cancel()

    def close(self) -> None:
        """See `Fleet.close`."""
        self._stop_taking()
        self._engine.close()
        self._done.put(None)

    def _has_ended(self) -> bool:
        return self._failure is not None or not (self._is_taking or self._in_flight)

    def _stop_taking(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _take(self, job: Job, feed: Feed) -> None:
        try:
            while (room := self._room()) and (items := feed.take(min(room, max(self._chunk(), MAX_CHUNK)))):
                chunk = self._chunk()
                for first in range(0, len(items), chunk):
                    self._begin(job, feed, items[first : first + chunk])
            if self._engine.ended:
                feed.fail(ConfigurationError(self._engine.ended))
        except BaseException as error:  # noqa: BLE001 - raised in join()
            self._fail(error, feed)
        finally:
            with self._changed:
                self._is_taking = False
                self._changed.notify_all()

    def _room(self) -> int:
        """How many items may be begun, once it is a task's worth; 0 when nothing may be begun any more."""
        with self._changed:
            while not (self._is_closed or self._engine.ended):
                room = self._engine.width - self._in_flight
                if room >= max(1, self._engine.inner):
                    return room
                self._changed.wait(LOOK_SECONDS)
        return 0

    def _chunk(self) -> int:
        with self._changed:
            seconds = self._seconds
        many = 1 if seconds >= SHORT_SECONDS else min(MAX_CHUNK, int(SHORT_SECONDS / max(seconds, 0.001)))
        return max(self._engine.inner, many)

    def _begin(self, job: Job, feed: Feed, items: list[Item]) -> None:
        try:
            future = self._engine.submit(job, items)
        except BaseException:
            feed.lose(items, died=False, begun=False)
            raise
        with self._changed:
            self._in_flight += len(items)
            self._tasks[future] = items
        future.add_done_callback(self._done.put)

    def _collect(self, feed: Feed) -> None:
        while (future := self._done.get()) is not None:
            items = self._tasks[future]
            try:
                self._settle(future, items, feed)
            except BaseException as error:  # noqa: BLE001 - raised in join()
                self._fail(error, feed)
            with self._changed:
                del self._tasks[future]
                self._in_flight -= len(items)
                self._changed.notify_all()

    def _settle(self, future: Answers, items: list[Item], feed: Feed) -> None:
        if future.cancelled() or future.exception() is not None:
            error = None if future.cancelled() else future.exception()
            feed.lose(items, died=self._engine.lost(future), begun=not isinstance(error, Lost) or error.begun)
            return
        records = future.result()
        if len(records) != len(items):
            feed.lose(items, died=False)
            raise ConfigurationError(f"a task of {len(items)} questions has given {len(records)} records")
        for item, record in zip(items, records, strict=True):
            with contextlib.suppress(TypeError, KeyError), self._changed:
                self._seconds += _WEIGHT * (record["seconds"] - self._seconds)
            try:
                feed.put(item, record)
            except BaseException as error:  # noqa: BLE001 - raised in join(); the others are put all the same
                self._fail(error, feed)

    def _fail(self, error: BaseException, feed: Feed) -> None:
        """The batch ends with an error; what is in progress is still collected."""
        feed.fail(error)
        with self._changed:
            self._failure = self._failure or error
            self._is_closed = True
            self._changed.notify_all()
