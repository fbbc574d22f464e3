"""What comes from the broker: routed, read, and recognised when it comes twice."""

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
"""Packets and requests that are remembered to recognise them when they come again."""


@dataclass
class Job:
    """A message of the broker on its way. state: of the maze, when it is one. mark: by which an echo of its answer
    knows it."""

    packet: Packet
    message: UserMessage | None = None
    state: dict[str, Any] | None = None
    command: Command | None = None
    echo_id: str = ""
    came: float = field(default_factory=time.monotonic)

    @property
    def is_same(self) -> tuple[str, bytes]:
        """What a packet that comes again has in common with this one, beside its number."""
        return self.packet.topic, hashlib.sha256(self.packet.payload).digest()


class Intake:
    """Reads packets for a bridge; shared by threads. has_session: whether a session with this key exists."""

    def __init__(self, projects: tuple[Project, ...], has_session: Callable[[str], bool]) -> None:
        self.routes = routes_of(projects)
        self._has_session = has_session
        self._lock = threading.Lock()
        self._open: dict[int, Job] = {}
        self._closed: FIFOCache[int, tuple[str, bytes]] = FIFOCache(MAX_REMEMBERED)
        self._seen: FIFOCache[tuple[str, str], bool] = FIFOCache(MAX_REMEMBERED)

    def read(self, job: Job) -> None:
        """Fill in what the packet of a job asks: a command, or a message; neither when the message is blank.

        Raises BadPayloadError when the topic or the payload can't be read.
        """
        packet = job.packet
        project, kind, level = self._route(packet.topic)
        if kind not in ("user", "state"):
            if not packet.is_observed:
                job.command = read_command(project, kind, level, packet.payload)
            return
        if kind == "state":
            job.message, job.state = read_state(project, packet.payload)
        else:
            job.message = read_user_message(project, packet.payload, packet.response_topic)
        if job.message is not None:
            job.message, job.echo_id = _identified(self._on_its_own_topic(job.message), packet)

    def packet_state(self, job: Job) -> Literal["new", "open", "closed"]:
        """Whether the broker sends a packet again because the connection broke, and how far it is. A new one is open
        from here on, until `close`."""
        packet = job.packet
        with self._lock:
            if packet.is_duplicate and packet.number in self._open and self._open[packet.number].is_same == job.is_same:
                return "open"
            if packet.is_duplicate and self._closed.get(packet.number) == job.is_same:
                return "closed"
            if packet.qos:
                self._open[packet.number] = job
        return "new"

    def close(self, job: Job) -> None:
        """The packet of a job is about to be acknowledged."""
        with self._lock:
            if self._open.get(job.packet.number) is job:
                del self._open[job.packet.number]
                self._closed[job.packet.number] = job.is_same

    def forget(self, message: UserMessage) -> None:
        """A request was rejected, and may come again."""
        with self._lock:
            self._seen.pop((message.key, message.log_id), None)

    def is_known(self, message: UserMessage) -> bool:
        """Whether the same request was taken before."""
        if not message.request_id:
            return False
        key = (message.key, message.log_id)
        with self._lock:
            if key in self._seen:
                return True
            self._seen[key] = True
        return False

    def _on_its_own_topic(self, message: UserMessage) -> UserMessage:
        """The message; where it wants its answer on a topic of another session that there is, with the usual topic."""
        named = message.answered_session
        is_answer = message.reply_topic.startswith(f"{message.project.answers}/")
        key = session_key(message.project, named)
        if is_answer and named != message.session and self._has_session(key):
            logger.warning("a replyTopic is ignored that is another session's, of project %s", message.project.name)
            return replace(message, reply_topic=message.usual_topic)
        return message

    def _route(self, topic: str) -> tuple[Project, str, str | None]:
        if topic in self.routes:
            return (*self.routes[topic], None)
        head, _, level = topic.rpartition("/")
        if f"{head}/+" in self.routes:
            return (*self.routes[f"{head}/+"], level)
        raise BadPayloadError("nobody listens to this topic")


def routes_of(projects: Iterable[Project]) -> dict[str, tuple[Project, str]]:
    """The topics that are listened to, and what they are for; "+" stands for a session."""
    found: dict[str, tuple[Project, str]] = {}
    for project in projects:
        found[project.user_input] = (project, "user")
        if project.state:
            found[project.state] = (project, "state")
        if project.hints:
            for name, kind in COMMANDS.items():
                found[f"{project.name}/{name}"] = found[f"{project.name}/{name}/+"] = (project, kind)
    return found


def answers_of(projects: Iterable[Project]) -> tuple[str, ...]:
    """What the topics of answers begin with."""
    return tuple(f"{each}/" for project in projects for each in (project.answers, project.hints) if each)


def _identified(message: UserMessage, packet: Packet) -> tuple[UserMessage, str]:
    """The message with the mark by which the log of its session knows it; and the mark by which bridges do. A request
    is known by its topic, the client's id and its own, since several clients of one session may count alike. A message
    without a requestId is known by its packet's number and its text; only the part of the mark before the "-" is the
    same for all bridges, who give packets other numbers."""
    own = json.dumps([packet.topic, message.client_id, message.request_id])
    told = b"r" + own.encode() if message.request_id else b"p" + packet.payload
    digest = hashlib.sha256(f"{message.key}\n".encode() + told).hexdigest()[:32]
    if message.request_id:
        return replace(message, log_id=f"request-{digest}"), digest
    log_id = f"packet-{packet.number}-{digest}"
    return replace(message, log_id=log_id, is_retry=packet.is_duplicate), f"{digest}-{packet.number}"
