"""What the fleet of a batch takes items from and gives records to: the batch's order, budget, and end."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue

from agentkit.batch.budget import BatchBudget
from agentkit.batch.item import Item, Record
from agentkit.batch.journal import JournalError
from agentkit.batch.records import not_run
from agentkit.batch.stats import Counting
from agentkit.batch.worker import KIND

ACCOUNT_ERRORS = 3
"""How many errors of the account running stop a batch."""
MAX_WAITING = 1000
"""How many records wait for the reader of the batch; then fleets wait too."""

Ending = str
"""Why a batch ended: "complete", "stopped" (by its user), "budget", "account", "disk" (the answers file can't be
written), "failed" (what scores or reads has raised an error); "" while it has not."""


class BatchFeed:
    """The feed of one start of a batch (see `agentkit.batch.fleet.Feed`).

    items: those that are to be asked, read lazily. begin: notes ids before they are sent; forget: takes that back for
    items that had no effect. write: stores a record. quarantine: takes items of a process that died. finish: see
    `run_batch`. has_effects: an item whose run was lost must not be run again, since a tool may have had its effect.
    """

    def __init__(
        self,
        items: Iterator[Item],
        *,
        budget: BatchBudget,
        counting: Counting,
        begin: Callable[[Sequence[str]], None],
        write: Callable[[Record], object],
        forget: Callable[[Sequence[str]], None],
        quarantine: Callable[[Sequence[Item]], None],
        finish: Callable[[Record], Record] | None,
        has_effects: bool,
    ) -> None:
        self._items = items
        self._budget, self._counting = budget, counting
        self._begin, self._write, self._forget = begin, write, forget
        self._quarantine = quarantine
        self._finish = finish
        self._has_effects = has_effects
        self._lock = threading.Condition(threading.RLock())
        self._again: deque[Item] = deque()
        self._account_errors: dict[str, int] = {}
        self._account_running = 0
        self._is_read = False
        self._in_progress = 0
        self.ending: Ending = ""
        self.error: BaseException | None = None
        self.account_error: Record | None = None
        self.records: SimpleQueue[Record | None] = SimpleQueue()
        self.is_read = True

    @property
    def in_progress(self) -> int:
        """How many items are begun and have no record."""
        return self._in_progress

    def take(self, most: int = 1) -> list[Item]:
        """See `Feed.take`."""
        with self._lock:
            taken: list[Item] = []
            while len(taken) < most and not self.ending:
                item = self._next() if self._may_begin() else None
                if item is not None:
                    taken.append(item)
                    self._in_progress += 1
                elif taken or self._is_over():
                    break
                else:
                    self._lock.wait(0.5)
            if taken:
                self._note(taken)
            return taken if not self.ending else self._put_back(taken)

    def _may_begin(self) -> bool:
        """Whether the budget has room; ends the batch where it will have none."""
        if self._budget.is_over() or not (has_room := self._budget.has_room(self._in_progress)):
            if self._has_more() and (self._budget.is_over() or not self._in_progress):
                self.stop("budget")
            return False
        return has_room

    def _has_more(self) -> bool:
        if not self._again and not self._is_read:
            item = self._read()
            if item is not None:
                self._again.append(item)
        return bool(self._again)

    def _next(self) -> Item | None:
        return self._again.popleft() if self._again else self._read()

    def _read(self) -> Item | None:
        if self._is_read:
            return None
        try:
            item = next(self._items, None)
        except Exception as error:  # noqa: BLE001 - of the source: raised again where the records are read
            self.fail(error)
            return None
        self._is_read = item is None
        return item

    def _is_over(self) -> bool:
        """Whether nothing can come any more: what is in progress may be lost and come back."""
        return not self._again and self._is_read and not self._in_progress

    def _note(self, taken: Sequence[Item]) -> None:
        try:
            self._begin([item.id for item in taken])
        except Exception as error:  # noqa: BLE001 - a full disk: raised again where the records are read
            self.fail(error)

    def _put_back(self, taken: Sequence[Item]) -> list[Item]:
        self._in_progress -= len(taken)
        self._again.extendleft(reversed(taken))
        self._lock.notify_all()
        return []

    def put(self, item: Item, record: Record) -> None:
        """See `Feed.put`."""
        kind = record.pop(KIND, "")
        with self._lock:
            if kind == "account" and self._is_tried_again(item, record):
                return
            if kind == "cancelled":
                self._take_back(item)
                self._leave()
                return
            if kind != "account":
                self._account_running = 0
        self._store(record)
        with self._lock:
            self._leave()

    def _store(self, record: Record) -> None:
        try:
            record = self._finish(record) if self._finish is not None else record
            self._write(record)
        except Exception as error:  # noqa: BLE001 - of a scoring function or a full disk: raised again for the reader
            self.fail(error)
            return
        with self._lock:
            self._budget.count(record)
        self._counting.count(record)
        self._hand_out(record)

    def _hand_out(self, record: Record) -> None:
        """Wait while too many records wait for their reader, unless nobody reads any more."""
        while self.records.qsize() >= MAX_WAITING and self.is_read:
            time.sleep(0.05)
        self.records.put(record)

    def end(self) -> None:
        """No record comes any more."""
        self.records.put(None)

    def _is_tried_again(self, item: Item, record: Record) -> bool:
        """Whether an item whose account was refused is asked again. Such an error says nothing of the item: it stays
        unanswered where it stops the batch."""
        self._account_running += 1
        self.account_error = record
        if self._account_running >= ACCOUNT_ERRORS:
            self.stop("account")
        count = self._account_errors[item.id] = self._account_errors.get(item.id, 0) + 1
        if not record["usage"] and (self.ending == "account" or count < ACCOUNT_ERRORS):
            self._forget([item.id])  # nothing was answered, so no tool was called
            self._again.append(item)
            self._leave()
            return True
        return False

    def lose(self, items: Sequence[Item], *, died: bool) -> None:
        """See `Feed.lose`."""
        if self._has_effects:
            for item in items:
                self.put(item, not_run(item, "unknown_effect"))
            return
        with self._lock:
            if died:
                self._quarantine(items)  # they stay in progress
                return
            self._again.extend(items)
            self._leave(len(items))

    def unknown(self, item: Item) -> None:
        """Record an item that had begun when the program was killed, and that may have had an effect."""
        self._store(not_run(item, "unknown_effect"))

    def suspect(self, items: Sequence[Item]) -> None:
        """Answer items one by one in a process of their own, since they were in progress when one died."""
        with self._lock:
            self._in_progress += len(items)
            self._quarantine(items)

    def _take_back(self, item: Item) -> None:
        """An item that was stopped is asked again by the next start, unless a tool may have had its effect."""
        if not self._has_effects:
            self._forget([item.id])

    def _leave(self, count: int = 1) -> None:
        self._in_progress -= count
        self._lock.notify_all()

    def stop(self, ending: Ending) -> None:
        """Begin nothing new. The first reason counts."""
        with self._lock:
            self.ending = self.ending or ending
            self._lock.notify_all()

    def fail(self, error: BaseException) -> None:
        """End the batch with an error, which its reader gets."""
        with self._lock:
            self.error = self.error or error
        self.stop("disk" if isinstance(error, JournalError) else "failed")
