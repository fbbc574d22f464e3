"""Routes and parses incoming packets, and detects duplicates."""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from cachetools import FIFOCache

from agentkit.serving.mqtt.broker import Packet
from agentkit.serving.mqtt.maze import state_message
from agentkit.serving.mqtt.payloads import (
    BadPayloadError,
    Command,
    UserMessage,
    read_command,
    read_state,
    read_user_message,
    session_key,
)
from agentkit.serving.mqtt.projects import Project

logger = logging.getLogger("agentkit.mqtt")

COMMANDS = {"template": "template", "clear_history": "clear", "delete_session": "delete"}
MAX_REMEMBERED = 20_000
"""Maximum number of packets, and of requests, that are remembered to detect duplicates."""


@dataclass
class Job:
    """A packet that is being processed, with its parsed content.

    state: the state of the maze, for a packet on the state topic. echo_id: id by which an echo of its answer refers to
    it. arrived: time of arrival (time.monotonic()).
    """

    packet: Packet
    message: UserMessage | None = None
    state: dict[str, Any] | None = None
    command: Command | None = None
    echo_id: str = ""
    arrived: float = field(default_factory=time.monotonic)

    @property
    def fingerprint(self) -> tuple[str, bytes]:
        """What identifies a redelivery of the packet, besides its packet identifier."""
        return self.packet.topic, hashlib.sha256(self.packet.payload).digest()


class Intake:
    """Parses packets for a bridge. Thread-safe. has_session: returns whether a session with a key exists."""

    def __init__(self, projects: tuple[Project, ...], has_session: Callable[[str], bool]) -> None:
        self.routes = routes_of(projects)
        self._has_session = has_session
        self._lock = threading.Lock()
        self._open: dict[int, Job] = {}
        self._closed: FIFOCache[int, tuple[str, bytes]] = FIFOCache(MAX_REMEMBERED)
        self._seen: FIFOCache[tuple[str, str], bytes] = FIFOCache(MAX_REMEMBERED)

    def read(self, job: Job) -> None:
        """Parse the packet of a job into its command or message; neither is set when the message is empty.

        Raises BadPayloadError when the topic is unknown or the payload is invalid.
        """
        packet = job.packet
        project, kind, level = self._route(packet.topic)
        if kind not in ("user", "state"):
            if not packet.is_observed:
                job.command = read_command(project, kind, level, packet.payload)
            return
        if kind == "state":
            message, job.state = read_state(project, packet.payload)
            job.message = replace(message, text=state_message(job.state))
        else:
            job.message = read_user_message(project, packet.payload, packet.response_topic)
        if job.message is not None:
            job.message, job.echo_id = _with_ids(self._with_safe_reply_topic(job.message), packet)

    def packet_state(self, job: Job) -> Literal["new", "open", "closed"]:
        """Whether a packet is new, or redelivered after a reconnection, and then whether it is still open.

        A new packet is open from this call until `close`.
        """
        packet = job.packet
        with self._lock:
            if (
                packet.is_duplicate
                and packet.packet_id in self._open
                and self._open[packet.packet_id].fingerprint == job.fingerprint
            ):
                return "open"
            if packet.is_duplicate and self._closed.get(packet.packet_id) == job.fingerprint:
                return "closed"
            if packet.qos:
                self._open[packet.packet_id] = job
        return "new"

    def close(self, job: Job) -> None:
        """Mark the packet of a job as closed, before it is acknowledged."""
        with self._lock:
            if self._open.get(job.packet.packet_id) is job:
                del self._open[job.packet.packet_id]
                self._closed[job.packet.packet_id] = job.fingerprint

    def open_echo_ids(self) -> set[str]:
        """The ids of the echoes of the open packets."""
        with self._lock:
            return {job.echo_id for job in self._open.values()}

    def forget(self, message: UserMessage) -> None:
        """Forget a request that was rejected or has failed, so that the client may send it again."""
        key = (message.key, message.log_id)
        with self._lock:
            if self._seen.get(key) == _digest(message):
                del self._seen[key]

    def is_known(self, message: UserMessage) -> bool:
        """Whether the same request was accepted before; records it otherwise. Another message with its id is not the
        same request: the turn of the session refuses it."""
        if not message.request_id:
            return False
        with self._lock:
            known = self._seen.setdefault((message.key, message.log_id), digest := _digest(message))
        is_new = known is digest
        return not is_new and known == digest

    def _with_safe_reply_topic(self, message: UserMessage) -> UserMessage:
        """The message; its reply topic is replaced by the default one if it belongs to another existing session."""
        session = message.reply_session
        is_answer = message.reply_topic.startswith(f"{message.project.answers}/")
        key = session_key(message.project, session)
        if is_answer and session != message.session and self._has_session(key):
            logger.warning("ignored a replyTopic of another session, in project %s", message.project.name)
            return replace(message, reply_topic=message.default_topic)
        return message

    def _route(self, topic: str) -> tuple[Project, str, str | None]:
        if topic in self.routes:
            return (*self.routes[topic], None)
        head, _, level = topic.rpartition("/")
        if f"{head}/+" in self.routes:
            return (*self.routes[f"{head}/+"], level)
        raise BadPayloadError("unknown topic")


def routes_of(projects: Iterable[Project]) -> dict[str, tuple[Project, str]]:
    """The subscribed topics, with their projects and kinds; "+" stands for a session."""
    found: dict[str, tuple[Project, str]] = {}
    for project in projects:
        found[project.user_input] = (project, "user")
        if project.state:
            found[project.state] = (project, "state")
        if project.hints:
            for name, kind in COMMANDS.items():
                found[f"{project.name}/{name}"] = found[f"{project.name}/{name}/+"] = (project, kind)
    return found


def answer_prefixes(projects: Iterable[Project]) -> tuple[str, ...]:
    """The prefixes of the topics of answers."""
    return tuple(f"{each}/" for project in projects for each in (project.answers, project.hints) if each)


def _digest(message: UserMessage) -> bytes:
    return hashlib.sha256(message.text.encode("utf-8", "surrogatepass")).digest()


def _with_ids(message: UserMessage, packet: Packet) -> tuple[UserMessage, str]:
    """Returns the message with its id in the session's log, and the id by which the bridges of a group refer to it.

    A request is identified by its topic, clientId and requestId, because several clients of one session may use the
    same requestIds. A message without a requestId is identified by its packet identifier and payload. Packet
    identifiers differ between bridges, so for such a message only the part of the second id before the "-" is common to
    all bridges.
    """
    request = json.dumps([packet.topic, message.client_id, message.request_id])
    source = b"r" + request.encode() if message.request_id else b"p" + packet.payload
    digest = hashlib.sha256(f"{message.key}\n".encode() + source).hexdigest()[:32]
    if message.request_id:
        return replace(message, log_id=f"request-{digest}"), digest
    log_id = f"packet-{packet.packet_id}-{digest}"
    return replace(message, log_id=log_id, is_retry=packet.is_duplicate), f"{digest}-{packet.packet_id}"
