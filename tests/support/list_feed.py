"""A feed of questions for tests of fleets, without files."""

import threading
from collections import deque
from collections.abc import Sequence

from agentkit.batch.item import Item, Record
from agentkit.batch.job import Job
from agentkit.batch.quarantine import Quarantine


class ListFeed:
    """See `agentkit.batch.fleet.Feed`. Items have their places as ids. records: by id. lost: (items, died) of each
    loss; those of a process that died go to a quarantine. begun: how often an item was taken. error: what ended it."""

    def __init__(self, job: Job, questions: Sequence[str]) -> None:
        self._changed = threading.Condition()
        self._waiting = deque(Item(str(number), question) for number, question in enumerate(questions))
        self._in_progress = 0
        self.quarantine = Quarantine(job, self.put)
        self.records: dict[str, Record] = {}
        self.lost: list[tuple[int, bool]] = []
        self.begun = 0
        self.error: BaseException | None = None

    def take(self, most: int = 1) -> list[Item]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self._in_progress or self.error)
            if self.error is not None:
                return []
            taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            self._in_progress += len(taken)
            self.begun += len(taken)
            return taken

    def put(self, item: Item, record: Record) -> None:
        with self._changed:
            assert item.id not in self.records
            self.records[item.id] = record
            self._in_progress -= 1
            self._changed.notify_all()

    def lose(self, items: Sequence[Item], *, died: bool, begun: bool = True) -> None:
        with self._changed:
            self.lost.append((len(items), died))
            if died:
                self.quarantine.add(items)
                return
            self._in_progress -= len(items)
            self._waiting.extend(items)
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        with self._changed:
            self.error = error
            self._changed.notify_all()
