"""Which sessions have an answer in progress, told by its worker to all others through the session store.

An answer has an entry of its own, under an id with the session's key in it, from its beginning to its end. Another
worker that wants it stopped appends to it. The entry of a worker that was killed stays for a while, and means nothing:
nobody holds the lock of the session then.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from agentkit.errors import SessionError
from agentkit.message import system
from agentkit.session import INTERNAL, SessionInfo, Sessions

PREFIX = f"{INTERNAL}live."

LEFT_AFTER = timedelta(hours=1)
"""The age of an entry with which it is looked whether its worker was killed."""


class Announcements:
    """The answers in progress of all workers that share a session store. Thread-safe.

    key: of a session in the store. run: the id of an answer. Its methods raise SessionError.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def put(self, key: str, run: str) -> None:
        """An answer begins."""
        self._of(key)
        self._sessions[_id(key, run)].append([system("begun")])

    def remove(self, key: str, run: str) -> None:
        """It has ended."""
        self._delete(_id(key, run))

    def stop(self, key: str) -> None:
        """Have all answers of a session stopped."""
        for each in (info.id for info in self._of(key) if info.entries == 1):
            with self._sessions[each].hold() as writer:
                if each in self._sessions:  # else it has ended, and would be there again
                    writer.append([system("stop")])

    def stopped(self) -> set[str]:
        """The answers that are to be stopped."""
        return {info.id.rpartition(".")[2] for info in self._sessions.list(PREFIX) if info.entries > 1}

    def running(self, keys: str) -> set[str]:
        """The sessions with an answer in progress. keys: how their keys begin."""
        found = {info.id.removeprefix(PREFIX).rpartition(".")[0] for info in self._sessions.list(PREFIX + keys)}
        return {key for key in found if self._sessions[key].is_held}

    def _of(self, key: str) -> list[SessionInfo]:
        """The entries of a session. What a killed worker has left goes."""
        oldest, found = datetime.now(UTC) - LEFT_AFTER, self._sessions.list(_id(key))
        left = {info.id for info in found if info.updated < oldest and not self._sessions[key].is_held}
        for each in left:
            self._delete(each)
        return [info for info in found if info.id not in left]

    def _delete(self, announced: str) -> None:
        with suppress(SessionError):  # it has gone meanwhile
            self._sessions.delete(announced)


def _id(key: str, run: str = "") -> str:
    return f"{PREFIX}{key}.{run}"
