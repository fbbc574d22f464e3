"""What the bridges of a group agree on: who answers a request, and which requests are answered.

Each bridge receives every request, in the same order, and keeps it until it has seen that it was answered. Which bridge
answers is decided by locks in the session store that they share: one of the session, and one of the request. The lock
is held until the broker has the answer, and every bridge receives the answers too (echoes). So whoever gets the lock
next, and has read all that the broker had for it by then, knows whether the request was answered. The lock of a bridge
that was killed is released, and another one answers in its place.
"""

import hashlib
import json
import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from cachetools import FIFOCache

from agentkit import ConfigurationError
from agentkit.errors import SessionBusyError, SessionError
from agentkit.serving.key_values import KeyValueStore
from agentkit.serving.mqtt.intake import Job
from agentkit.serving.mqtt.payloads import UserMessage, in_session
from agentkit.session import INTERNAL, Session, Sessions

if TYPE_CHECKING:
    import paho.mqtt.client as paho

logger = logging.getLogger("agentkit.mqtt")

MAX_REMEMBERED = 50_000
"""Maximum number of echoes that are remembered."""


class Group:
    """One bridge's view of its group. Thread-safe.

    sessions: the store that the group shares. client_id: of this bridge. notify: publishes a notice to the group,
    and returns paho's handle of it where there is one.
    """

    def __init__(
        self, sessions: Sessions, client_id: str, notify: "Callable[[str], paho.MQTTMessageInfo | None]"
    ) -> None:
        self._sessions = sessions
        self._client_id = client_id
        self._notify = notify
        self._lock = threading.Lock()
        self._open: dict[str, deque[Job]] = {}
        self._own: FIFOCache[str, bool] = FIFOCache(MAX_REMEMBERED)
        self._echoes: FIFOCache[str, bool] = FIFOCache(MAX_REMEMBERED)
        self._answered: FIFOCache[tuple[str, str], bool] = FIFOCache(MAX_REMEMBERED)
        self._session_of: FIFOCache[str, str] = FIFOCache(MAX_REMEMBERED)
        self._members: dict[str, str] = {}
        self._differing: deque[tuple[str, str, bool]] = deque()
        self._store = ""
        self._claims = 0

    # ---- requests

    def expect(self, job: Job) -> None:
        """Record a request that this bridge has received."""
        with self._lock:
            self._open.setdefault(job.digest, deque()).append(job)
            if job.message is not None:
                self._session_of[job.digest] = job.message.key

    def close(self, job: Job) -> None:
        """Forget a request that is closed; and, when it is a command, the answers in the sessions that it has cleared:
        messages are numbered anew there."""
        with self._lock:
            self._remove(job)
            if job.command is not None and not job.command.keeps_sessions:
                for request in [each for each in self._answered if self._is_in(each[0], job)]:
                    del self._answered[request]

    def _is_in(self, digest: str, job: Job) -> bool:
        key = self._session_of.get(digest, "")
        return key == job.lane or (job.is_for_all and key.startswith(f"{job.lane}:"))

    def answered(self, echo_id: str) -> Job | None:
        """Record that a bridge has answered a request. Returns the request if this bridge has it open, and some other
        one has answered it."""
        digest, _, rest = echo_id.partition("-")
        number, _, token = rest.partition("-")
        with self._lock:
            self._answered[digest, number] = True
            if echo_id in self._own or (token and echo_id in self._echoes):
                return None
            self._echoes[echo_id] = True
            jobs = self._open.get(digest)
            if not jobs:
                return None
            job = jobs[0]
            self._remove(job)
            job.is_answered = True
            return job

    def _remove(self, job: Job) -> None:
        jobs = self._open.get(job.digest)
        if jobs is not None and job in jobs:
            jobs.remove(job)
            if not jobs:
                del self._open[job.digest]

    @contextmanager
    def claim(self, job: Job) -> Iterator[bool]:
        """Hold the right to answer a request; yields False when another bridge holds it, or that to answer another
        request of the session. Raises SessionError."""
        names = [f"request {job.digest}"] if job.rejection else [f"session {job.lane}", f"request {job.digest}"]
        with ExitStack() as stack:
            is_granted = self._get(stack, names)
            with self._lock:
                self._claims += is_granted
            try:
                yield is_granted
            finally:
                with self._lock:
                    self._claims -= is_granted

    def hesitation(self) -> float:
        """How long this bridge leaves a message to the others before it claims it, in seconds: the busier, the longer,
        so that all get their share."""
        return min(0.03, 0.003 * self._claims) if self._members else 0.0

    def _get(self, stack: ExitStack, names: list[str]) -> bool:
        try:
            for name in names:
                digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
                stack.enter_context(self._sessions[f"{INTERNAL}claim.{digest}"].hold(0.0))
        except SessionBusyError:
            stack.close()
            return False
        return True

    def name(self, job: Job) -> bool:
        """Give a claimed request its id in the log of its session, and that of its echo.

        A message without a requestId gets a number: how many like it its session has had. Whichever bridge answers it
        finds the same number, so that it goes on from what a killed one has done. Returns whether a bridge has begun
        to answer it. Raises SessionError.
        """
        number, begun = "r", False
        if job.message is not None and not job.rejection:
            if job.message.is_new_session:
                job.message, number = self._in_begun_session(job.message, job.digest)
            elif not job.message.request_id:
                number = str(self._number(self._sessions[job.message.key], job.digest))
            if not job.message.request_id:
                job.message = replace(job.message, log_id=_log_id(job.digest, number), is_retry=True)
            begun = self._sessions[job.message.key].is_begun(job.message.log_id)
        job.echo_id = f"{job.digest}-{number}-{secrets.token_hex(6)}"
        with self._lock:
            self._own[job.echo_id] = True
        return begun

    def _in_begun_session(self, message: UserMessage, digest: str) -> tuple[UserMessage, str]:
        """A message that names no session, in the session in which a bridge that was killed has begun to answer it, if
        there is one; with what stands for its number, the end of the session's id."""
        for info in self._sessions.list(prefix=message.new_sessions):
            number = info.id.rpartition("-")[2]
            session, log_id = self._sessions[info.id], _log_id(digest, number)
            if session.is_begun(log_id) and not session.is_delivered(log_id) and not self._was_answered(digest, number):
                return in_session(message, info.id), number
        return message, message.key.rpartition("-")[2]

    def _number(self, session: Session, digest: str) -> int:
        """The first number whose message is not answered."""
        high = 1
        while session.is_delivered(_log_id(digest, high - 1)):
            high *= 2
        low, high = high // 2, high - 1  # low messages are answered, message high is not
        while low < high:
            middle = (low + high) // 2
            if session.is_delivered(_log_id(digest, middle)):
                low = middle + 1
            else:
                high = middle
        if self._was_answered(digest, low):  # its bridge was killed before it had recorded that
            session.note_delivered(_log_id(digest, low))
        while self._was_answered(digest, low):
            low += 1
        return low

    def _was_answered(self, digest: str, number: int | str) -> bool:
        with self._lock:
            return (digest, str(number)) in self._answered

    def note_done(self, job: Job, stopped: threading.Event) -> None:
        """Tell the group that a request is closed whose answer has no echo; returns when the broker has that."""
        notice = self._notify(json.dumps({"kind": "done", "id": job.echo_id}))
        with suppress(RuntimeError, ValueError):  # without a connection it is sent with the next one
            while notice is not None and not (notice.is_published() or stopped.wait(0.01)):
                pass

    # ---- members

    @property
    def has_others(self) -> bool:
        """Whether other bridges of the group are known to run."""
        return bool(self._members)

    def greet(self) -> None:
        """Tell the group that this bridge runs. Raises SessionError."""
        self._store = self._store_id()
        self._say_hello(is_reply=False)

    def _store_id(self) -> str:
        """What all bridges on a session store call it. Raises SessionError."""
        return KeyValueStore(self._sessions, f"{INTERNAL}bridges").add("store", secrets.token_hex(8))

    def leave(self) -> None:
        """Tell the group that this bridge stops."""
        self._notify(json.dumps({"kind": "bye", "client": self._client_id}))

    def check_store(self) -> None:
        """Raises ConfigurationError when another bridge of the group has another session store."""
        other = next((client for client, store in self._members.items() if store != self._store), None)
        if other is not None:
            raise ConfigurationError(self._conflict(other))

    def read_notice(self, payload: bytes) -> Job | None:
        """Read a notice of a bridge. Returns the request that it closes."""
        try:
            notice = json.loads(payload)
            kind, client = notice["kind"], str(notice.get("client", ""))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            logger.warning("ignored an invalid notice to the group")
            return None
        if kind == "done":
            return self.answered(str(notice.get("id")))
        if client in ("", self._client_id):
            return None
        if kind == "bye":
            self._members.pop(client, None)
        elif kind == "hello":
            self._meet_after_a_look(client, str(notice.get("store")), notice.get("is_reply") is True)
        return None

    def _meet_after_a_look(self, client: str, store: str, is_reply: bool) -> None:
        """Meet a bridge. Where it names another store, this one may have lost its data since, and with them its id."""
        if not self._store or store == self._store:
            self._meet(client, store, is_reply=is_reply)
            return
        with self._lock:
            if len(self._differing) < MAX_REMEMBERED:
                self._differing.append((client, store, is_reply))
            if len(self._differing) > 1:  # the thread that is at work takes it too
                return
        threading.Thread(target=self._look, name="agentkit-store-id", daemon=True).start()

    def _look(self) -> None:
        """Read the id of the store, which takes long while that is away, and meet the bridges that named another."""
        while True:
            with self._lock:
                differing = list(self._differing)
            with suppress(SessionError):
                self._store = self._store_id()
            for client, store, is_reply in differing:
                self._meet(client, store, is_reply=is_reply)
            with self._lock:
                for _ in differing:
                    self._differing.popleft()
                if not self._differing:
                    return

    def _meet(self, client: str, store: str, *, is_reply: bool) -> None:
        if self._store and store != self._store and self._members.get(client) != store:
            logger.error("%s", self._conflict(client))
        if len(self._members) < MAX_REMEMBERED:
            self._members[client] = store
        if not is_reply:
            self._say_hello(is_reply=True)

    def _say_hello(self, *, is_reply: bool) -> None:
        if self._store:
            hello = {"kind": "hello", "client": self._client_id, "store": self._store, "is_reply": is_reply}
            self._notify(json.dumps(hello))

    def _conflict(self, other: str) -> str:
        return (
            f"the bridges {self._client_id} and {other} are in one group, but have different session stores, so both "
            "would answer each message: start all bridges of a group with the same --store"
        )


def _log_id(digest: str, number: int | str) -> str:
    return f"message-{digest}-{number}"
