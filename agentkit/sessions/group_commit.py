"""Group commit: the writes of threads that wait at the same time share one transaction of SQLite, and one fsync."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from agentkit._lazy.records import dataclass

Write = Callable[[sqlite3.Connection], None]


@dataclass(eq=False)
class _Job:
    write: Write
    is_done: bool = False
    error: Exception | None = None


class GroupCommit:
    """Commits writes. The first thread that comes commits; those that come meanwhile wait, and then the first of them
    commits what all of them write.

    connection: a context manager that waits for the connection. check: called after each commit; what it raises is
    raised for all writes of the commit.
    """

    def __init__(
        self, connection: Callable[[], AbstractContextManager[sqlite3.Connection]], check: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._check = check
        self._changed = threading.Condition()
        self._waiting: list[_Job] = []
        self._is_committing = False

    def run(self, write: Write) -> None:
        """Run a write, all or nothing; what it did is on disk when this returns. Raises what the write raises, which
        does not concern the others."""
        job = _Job(write)
        try:
            with self._changed:
                self._waiting.append(job)
                self._changed.wait_for(lambda: job.is_done or not self._is_committing)
                if not job.is_done:
                    self._is_committing = True
            if not job.is_done:
                self._commit_waiting()
        finally:
            job.is_done = True  # also when this was interrupted: nobody commits it later
        if job.error is not None:
            raise job.error

    def _commit_waiting(self) -> None:
        jobs: list[_Job] = []
        try:
            with self._connection() as connection:
                with self._changed:
                    jobs, self._waiting = [job for job in self._waiting if not job.is_done], []
                self._commit(connection, jobs)
        finally:
            with self._changed:
                self._waiting[:0] = [job for job in jobs if not job.is_done]  # of a commit that was interrupted
                self._is_committing = False
                self._changed.notify_all()

    def _commit(self, connection: sqlite3.Connection, jobs: list[_Job]) -> None:
        has_begun = is_written = is_committed = False
        error: Exception | None = None
        try:
            connection.execute("BEGIN IMMEDIATE")
            has_begun = True
            for job in jobs:
                job.write(connection)
            is_written = True
            connection.execute("COMMIT")
            is_committed = True
            self._check()
        except Exception as caught:  # noqa: BLE001 - raised by the thread whose write it is
            error = caught
        except BaseException:  # an interrupt, which may come between the commit and the next line
            is_committed = is_committed or (is_written and not connection.in_transaction)
            raise
        finally:
            if not is_committed and connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            if is_committed or error is not None:
                self._end(connection, jobs, error, may_repeat=has_begun and not is_committed)

    def _end(self, connection: sqlite3.Connection, jobs: list[_Job], error: Exception | None, may_repeat: bool) -> None:
        """Tell the jobs; one that failed in a group may be the fault of another, so each is tried alone."""
        if error is not None and may_repeat and len(jobs) > 1:
            for job in jobs:
                self._commit(connection, [job])
            return
        for job in jobs:
            job.error, job.is_done = error, True
