"""Group commit: the writes of threads that wait at the same time share one transaction of SQLite, and one fsync."""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Generic, TypeVar

W = TypeVar("W")


class _Job(Generic[W]):
    """A write. turn: released when it is done, and when its thread is to commit (`leads`)."""

    def __init__(self, write: W) -> None:
        self.write = write
        self.is_done = self.leads = False
        self.error: Exception | None = None
        self.turn = threading.Lock()
        self.turn.acquire()

    def wake(self) -> None:
        with suppress(RuntimeError):  # it was woken before, and its thread was interrupted
            self.turn.release()


class GroupCommit(Generic[W]):
    """Commits writes. The first thread that comes commits; those that come meanwhile wait, and then the first of them
    commits what all of them write. Each thread is woken when it has something to do, and the others are not.

    connection: a context manager that waits for the connection. apply: does what some writes say, within a transaction;
    where it raises for several, each is tried alone. check: called after each commit; what it raises is raised for all
    writes of the commit.
    """

    def __init__(
        self,
        connection: Callable[[], AbstractContextManager[sqlite3.Connection]],
        apply: Callable[[sqlite3.Connection, Sequence[W]], None],
        check: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._apply = apply
        self._check = check
        self._guard = threading.Lock()
        self._waiting: list[_Job[W]] = []
        self._is_committing = False

    def run(self, write: W) -> None:
        """Apply a write, all or nothing; what it did is on disk when this returns. Raises what `apply` raises for it,
        which does not concern the others."""
        job = _Job(write)
        try:
            with self._guard:
                self._waiting.append(job)
                if not self._is_committing:
                    self._is_committing = job.leads = True
            if not job.leads:
                job.turn.acquire()
            if not job.is_done:
                self._commit_waiting()
        finally:
            self._leave(job)
        if job.error is not None:
            raise job.error

    def _commit_waiting(self) -> None:
        jobs: list[_Job[W]] = []
        try:
            with self._connection() as connection:
                with self._guard:
                    jobs, self._waiting = [job for job in self._waiting if not job.is_done], []
                self._commit(connection, jobs)
        finally:
            with self._guard:
                self._waiting[:0] = [job for job in jobs if not job.is_done]  # of a commit that was interrupted
            for job in jobs:
                if job.is_done:
                    job.wake()  # again, where the interrupt came before it

    def _leave(self, job: _Job[W]) -> None:
        """The thread of a job goes on: the next one that waits is to commit, if this one was."""
        with self._guard:
            job.is_done = True  # also when this was interrupted: nobody commits it later
            if not job.leads:
                return
            following = next((each for each in self._waiting if not each.is_done), None)
            self._is_committing = following is not None
            if following is not None:
                following.leads = True
                following.wake()

    def _commit(self, connection: sqlite3.Connection, jobs: list[_Job[W]]) -> None:
        has_begun = is_written = is_committed = False
        error: Exception | None = None
        try:
            connection.execute("BEGIN IMMEDIATE")
            has_begun = True
            self._apply(connection, [job.write for job in jobs])
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

    def _end(
        self, connection: sqlite3.Connection, jobs: list[_Job[W]], error: Exception | None, may_repeat: bool
    ) -> None:
        """Tell the jobs; one that failed in a group may be the fault of another, so each is tried alone."""
        if error is not None and may_repeat and len(jobs) > 1:
            for job in jobs:
                self._commit(connection, [job])
            return
        for job in jobs:
            job.error, job.is_done = error, True
            job.wake()
