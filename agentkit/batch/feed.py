"""What the fleet of a batch takes items from and gives records to: the batch's order, budget, and end."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Literal

from agentkit.batch.budget import BatchBudget
from agentkit.batch.item import Item, Record
from agentkit.batch.journal import Journal, JournalError
from agentkit.batch.records import not_run
from agentkit.batch.shared_errors import SharedErrors
from agentkit.batch.stats import Counting
from agentkit.batch.worker import KIND
from agentkit.errors import ConfigurationError

MAX_WAITING = 1000
"""How many records wait for the reader of the batch; then fleets wait too."""
MAX_DEATHS = 3
"""How often an item may be in progress when a process dies, where it can't have a process of its own."""
_MAX_ASIDE = 100

Ending = str
"""Why a batch ended: "complete", "stopped" (by its user), "budget", "account", "server" (it is not there), "disk"
(the answers file can't be written), "failed" (what scores or reads has raised an error); "" while it has not."""

How = Literal["ask", "unknown", "alone"]
"""What is done with an item: it is asked; it was in progress when the program was killed and may have had an effect,
which is recorded; or it was in progress and may be what has killed the program, so that it is asked in a process of its
own."""

_OF_ALL = ("ConfigurationError", "MissingExtraError", "DependencyError")
"""Errors that each item has: of the agent, or of the options of the batch."""


class BatchFeed:
    """The feed of one start of a batch (see `agentkit.batch.fleet.Feed`).

    items: those that have no answer, read lazily. journal: notes ids before they are sent, and stores records; None
    where nothing is kept. alone: answers an item in a process of its own. finish: see `run_batch`. has_effects: an item
    whose run was lost must not be run again, since a tool may have had its effect.
    """

    def __init__(
        self,
        items: Iterator[tuple[Item, How]],
        *,
        budget: BatchBudget,
        counting: Counting,
        journal: Journal | None,
        alone: Callable[[Item], None],
        finish: Callable[[Record], Record] | None,
        has_effects: bool,
    ) -> None:
        self._items = items
        self._budget, self._counting = budget, counting
        self._journal = journal
        self._ask_alone = alone
        self._finish = finish
        self._has_effects = has_effects
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._waiting = 0  # threads that wait for something to take
        self._again: deque[Item] = deque()
        self._later: deque[Item] = deque()  # asked again behind all others
        self._suspects: deque[Item] = deque()
        self._alone: Item | None = None
        self._may_be_alone = True
        self._deaths: dict[str, int] = {}
        self._account, self._server, self._store_errors = SharedErrors(), SharedErrors(), SharedErrors()
        self._is_read = False
        self.has_unknown_cost = False
        """Whether the batch was ended because something was spent of which the cost is not known."""
        self._in_progress = 0
        self.ending: Ending = ""
        self.error: BaseException | None = None
        self.records: SimpleQueue[Record | None] = SimpleQueue()
        self.has_reader = True

    @property
    def in_progress(self) -> int:
        """How many items are begun and have no record."""
        return self._in_progress

    @property
    def account_error(self) -> Record | None:
        """The record of the last item whose account was refused."""
        return self._account.last

    @property
    def server_error(self) -> Record | None:
        """The record of the last item whose server was not there."""
        return self._server.last

    @property
    def was_server_there(self) -> bool:
        """Whether a server was reached in this start."""
        return self._server.is_anything_answered

    # What a fleet calls

    def take(self, most: int = 1) -> list[Item]:
        """See `Feed.take`."""
        while True:
            unknown: list[Item] = []
            with self._lock:
                taken = self._taken(most, unknown)
            if taken:
                self._note(taken)  # without the lock, as it writes
                if self.ending:
                    taken = self._put_back(taken)
            for item in unknown:  # without the lock: their records wait for a reader
                self._store(not_run(item, "unknown_effect"))
            if taken or not unknown:
                return taken

    def _taken(self, most: int, unknown: list[Item]) -> list[Item]:
        taken: list[Item] = []
        while not self.ending:
            if self._suspects:
                self._let_one_go_alone()
            item = self._next(unknown) if not self._budget.is_limited or self._may_begin() else None
            if item is not None:
                taken.append(item)
                self._in_progress += 1
                if len(taken) >= most:
                    break
            elif taken or unknown or self._is_over():
                break
            else:
                self._wait()
        return taken

    def _wait(self) -> None:
        self._waiting += 1
        try:
            self._changed.wait(0.5)
        finally:
            self._waiting -= 1

    def put(self, item: Item, record: Record) -> None:
        """See `Feed.put`."""
        kind = record.pop(KIND, "")
        is_outcome = bool(record["ok"] and not kind)
        if is_outcome and self._alone is not item:  # nearly always: it needs no lock
            self._note_answered("")
        else:
            with self._lock:
                if self._alone is item:
                    self._alone = None
                is_outcome = is_outcome or self._is_outcome(item, record, kind)
                if is_outcome:
                    self._note_answered(kind)
        try:
            if is_outcome:
                self._store(record)
        finally:
            self._leave()

    def _note_answered(self, kind: str) -> None:
        if kind != "account":
            self._account.answered()
        if kind != "server":
            self._server.answered()
        if kind != "store":
            self._store_errors.answered()

    def _is_outcome(self, item: Item, record: Record, kind: str) -> bool:
        """Whether a record is what came of its item, which stays unanswered otherwise."""
        if kind in ("cancelled", "given_up"):
            self._take_back(item, record)
            if kind == "given_up":  # by another machine's clock perhaps before this one's
                self.stop("budget")
        elif (kind == "server" and self._is_of_server(item, record)) or (
            kind in ("account", "store") and self._is_asked_again(item, record, kind)
        ):
            self._forget([item])
            self._count_lost(record)
            self._later.append(item)
        elif self._is_error_of_all(item, record):
            self.fail(ConfigurationError(record["error"]["message"]))
        else:
            return True
        return False

    def lose(self, items: Sequence[Item], *, died: bool, begun: bool = True) -> None:
        """See `Feed.lose`."""
        if self._has_effects and begun:
            for item in items:
                self.put(item, not_run(item, "unknown_effect"))
            return
        charged = [item for item in items if died and begun and self._has_died_again(item)]
        for item in charged:
            self.put(item, not_run(item, "process_died"))
        kept = [item for item in items if item not in charged]
        with self._lock:
            (self._suspects if died and self._may_be_alone else self._again).extend(kept)
            if not begun:
                self._forget(kept)
            self._leave(len(kept))

    def _has_died_again(self, item: Item) -> bool:
        """Whether an item that can't have a process of its own was in progress for the third time when one died."""
        if self._may_be_alone:
            return False
        self._deaths[item.id] = self._deaths.get(item.id, 0) + 1
        return self._deaths[item.id] >= MAX_DEATHS

    # What is asked next

    def _may_begin(self) -> bool:
        """Whether the budget has room; ends the batch where it will have none."""
        is_over = self._budget.is_over()
        if not is_over and self._budget.has_room(self._in_progress):
            return True
        if (is_over or not self._in_progress) and self._has_more():
            self.stop("budget")
        return False

    def _has_more(self) -> bool:
        unknown: list[Item] = []
        if not self._again and (item := self._next(unknown)) is not None:
            self._again.appendleft(item)
        self._suspects.extend(unknown)  # they are told by the next start
        return bool(self._again or self._suspects)

    def _next(self, unknown: list[Item]) -> Item | None:
        if self._again:
            return self._again.popleft()
        while not self.ending and (found := self._read()) is not None:
            item, how = found
            if how == "unknown":
                unknown.append(item)
                if len(unknown) >= _MAX_ASIDE:
                    return None
            elif how == "alone" and self._may_be_alone:
                self._suspects.append(item)
                self._let_one_go_alone()
            else:
                return item
        return self._later.popleft() if self._later and self._is_read else None

    def _read(self) -> tuple[Item, How] | None:
        if self._is_read:
            return None
        try:
            found = next(self._items, None)
        except Exception as error:  # noqa: BLE001 - of the source: raised again where the records are read
            self.fail(error)
            return None
        self._is_read = found is None
        return found

    def _is_over(self) -> bool:
        """Whether nothing can come any more: what is in progress may be lost and come back."""
        waiting = self._again or self._later or self._suspects
        return not waiting and self._is_read and not self._in_progress

    def _note(self, taken: Sequence[Item]) -> None:
        if self._journal is None:
            return
        try:
            self._journal.begin([item.id for item in taken])
        except Exception as error:  # noqa: BLE001 - a full disk: raised again where the records are read
            self.fail(error)

    def _forget(self, items: Sequence[Item]) -> None:
        """Take back what was noted of items that had no effect."""
        if self._journal is not None:
            self._journal.forget([item.id for item in items])

    def _put_back(self, taken: Sequence[Item]) -> list[Item]:
        with self._lock:
            self._again.extendleft(reversed(taken))
            self._forget(taken)
            self._leave(len(taken))
        return []

    # One by one, in a process of its own

    def _let_one_go_alone(self) -> None:
        """Have the next of those that may kill a process answered, if none is in progress."""
        if self._alone is None and self._suspects and not self.ending and self._budget.has_room(self._in_progress):
            self._alone = self._suspects.popleft()
            self._in_progress += 1
            self._note([self._alone])
            self._ask_alone(self._alone)

    def not_alone(self, items: Sequence[Item]) -> None:
        """A process of their own can't have the agent: they are asked as all others."""
        with self._lock:
            self._may_be_alone = False
            self._alone = None
            self._again.extend([*items, *self._suspects])
            self._suspects.clear()
            self._leave(len(items))

    # What becomes of a record

    def _is_asked_again(self, item: Item, record: Record, kind: str) -> bool:
        """Whether an item whose account was refused, or whose session can't be stored, stays unanswered for now:
        nothing was answered before, so that no tool was called, or none has effects."""
        errors = self._account if kind == "account" else self._store_errors
        is_of_all = errors.refused(item, record)
        if is_of_all and kind == "account":
            self.stop("account")
        elif is_of_all:
            self.fail(JournalError(f"{record['error']['message']}: settle that, then start again to go on"))
        if record["usage"] and self._has_effects:
            return False
        return is_of_all or self.ending in ("account", "disk") or not errors.is_of_the_item(item)

    def _is_of_server(self, item: Item, record: Record) -> bool:
        """Whether an item whose server is not there stays unanswered. Where nobody has reached it in this start, it is
        not running, or its address is wrong; else it was waited for, and may be back when the item is asked again,
        behind the others, unless it is this item that the server does not survive."""
        if (record["usage"] and self._has_effects) or self._server.is_of_the_item(item):
            return False
        is_first = not self._server.is_anything_answered
        is_last = is_first and self._is_read and not self._again and self._in_progress == 1
        if self._server.refused(item, record) or is_last:
            self.stop("server")
        return True

    def _is_error_of_all(self, item: Item, record: Record) -> bool:
        kind = (record.get("error") or {}).get("type")
        return kind in _OF_ALL and not item.sampling and not record["usage"]

    def _store(self, record: Record) -> None:
        try:
            record = self._finish(record) if self._finish is not None else record
            if self._journal is not None:
                self._journal.write(record)
            if self._budget.is_limited:
                with self._lock:
                    self._budget.count(record)
                if self._budget.misses_cost_of(record) and not self.ending:
                    self.has_unknown_cost = True
                    self.stop("budget")
            self._counting.count(record)
        except BaseException as error:  # noqa: BLE001 - of a scoring function or a full disk: raised for the reader
            self.fail(error)
            return
        self._hand_out(record)

    def _hand_out(self, record: Record) -> None:
        """Wait while too many records wait for their reader, unless nobody reads any more."""
        while self.records.qsize() >= MAX_WAITING and self.has_reader:
            time.sleep(0.05)
        self.records.put(record)

    def _take_back(self, item: Item, record: Record) -> None:
        """An item that was stopped is asked again by the next start, unless a tool may have had its effect."""
        self._count_lost(record)
        if not self._has_effects or not record["usage"]:
            self._forget([item])

    def _count_lost(self, record: Record) -> None:
        """Take what a run has spent of which no record is kept."""
        self._counting.spent(record)
        if record["usage"]:
            self._budget.count(record)
            if self._journal is not None:
                self._journal.lose(record)

    def _leave(self, count: int = 1) -> None:
        with self._lock:
            self._in_progress -= count
            if self._suspects:
                self._let_one_go_alone()
            if self._waiting and self._may_have_some():
                self._changed.notify_all()

    def _may_have_some(self) -> bool:
        """Whether who waits may find something to take, or that nothing comes any more. While the last items of a batch
        are in progress neither is so, and all lanes but theirs wait."""
        waiting = self._again or self._later or self._suspects
        return bool(waiting) or self._budget.is_limited or not self._in_progress

    # The end

    def end(self) -> None:
        """No record comes any more."""
        self.records.put(None)

    def stop(self, ending: Ending) -> None:
        """Begin nothing new. The first reason counts. It waits for nothing: a signal's handler may call it."""
        self.ending = self.ending or ending
        if self._lock.acquire(blocking=False):  # else who has the lock sees it, or who waits looks again
            try:
                self._changed.notify_all()
            finally:
                self._lock.release()

    def fail(self, error: BaseException) -> None:
        """End the batch with an error, which its reader gets."""
        self.error = self.error or error
        self.stop("disk" if isinstance(error, JournalError) else "failed")
