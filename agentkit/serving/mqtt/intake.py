"""Routes and parses incoming packets, and detects repeated requests."""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from cachetools import FIFOCache

from agentkit.serving.mqtt.broker import Packet
from agentkit.serving.mqtt.decoding import BadPayloadError
from agentkit.serving.mqtt.maze import state_message
from agentkit.serving.mqtt.open_packets import OpenPackets
from agentkit.serving.mqtt.payloads import (
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
"""Maximum number of requests that are remembered to detect duplicates."""
FIRST_BUSY_SECONDS, BUSY_SECONDS = 0.01, 0.1
"""After how many seconds a message is tried again whose session another bridge of the group answers in, at first and at
most. That bridge is about to give up its right when it has just answered: it would always be the first again."""


@dataclass(eq=False)
class Job:
    """A packet that is being processed, with its parsed content.

    state: the state of the maze, for a packet on the state topic. digest: what identifies the request for all bridges
    of a group; a repeated message without a requestId has the same. echo_id: id by which an echo of its answer refers
    to it. lane: jobs of one lane are processed one after the other. requested_topic: a topic of the answer in place of
    the one in the message, if the store does not say that it is of another session. rejection: the text to answer
    instead of the model's. has_hesitated: whether it was left to other bridges of the group for a moment. refusals:
    how often another one had the right to answer in its session. is_answered: whether another one has answered it.
    echo: the echo of that, which is acknowledged after it. arrived: time of arrival (time.monotonic()).
    """

    packet: Packet
    message: UserMessage | None = None
    state: dict[str, Any] | None = None
    command: Command | None = None
    digest: str = ""
    echo_id: str = ""
    lane: str = ""
    requested_topic: str = ""
    rejection: str = ""
    has_hesitated: bool = False
    refusals: int = 0
    is_answered: bool = False
    echo: Packet | None = None
    arrived: float = field(default_factory=time.monotonic)

    def refused(self) -> float:
        """Note that another bridge has the right to answer in the session. Returns after how many seconds to try
        again."""
        self.refusals += 1
        return min(BUSY_SECONDS, FIRST_BUSY_SECONDS * self.refusals)

    @property
    def queue(self) -> str:
        """The key of its queue: that of its lane; a rejection does not wait for the messages before it."""
        return f"{self.lane}!" if self.rejection else self.lane

    @property
    def scope(self) -> str:
        """The lanes among which its command may be one for all: those of its project; "" for a rejection."""
        content = self.command or self.message
        return "" if self.rejection or content is None else content.project.name

    @property
    def is_for_all(self) -> bool:
        """Whether it is a command for all sessions of its project."""
        return self.command is not None and self.command.session is None


class Intake:
    """Parses packets for a bridge. Thread-safe.

    It is used on the network thread, which nothing may hold up: the session store is asked by `settle` only.
    has_session: returns whether a session with a key exists.
    """

    def __init__(self, projects: tuple[Project, ...], has_session: Callable[[str], bool]) -> None:
        self.routes = routes_of(projects)
        self._has_session = has_session
        self._lock = threading.Lock()
        self.packets: OpenPackets[Job] = OpenPackets()
        self._seen: FIFOCache[tuple[str, str], bytes] = FIFOCache(MAX_REMEMBERED)
        self._answered: FIFOCache[tuple[str, str], bytes] = FIFOCache(MAX_REMEMBERED)

    def read(self, job: Job) -> None:
        """Parse the packet of a job into its command or message; neither is set when the message is empty.

        Raises BadPayloadError when the topic is unknown or the payload is invalid.
        """
        packet = job.packet
        project, kind, level = self._route(packet.topic)
        if kind not in ("user", "state"):
            job.command = read_command(project, kind, level, packet.payload)
            job.lane = _lane_of(job.command)
            job.digest = _digest_of(job.lane, f"{packet.topic}\n".encode() + packet.payload)
            return
        if kind == "state":
            message, job.state = read_state(project, packet.payload)
            job.message = replace(message, text=state_message(job.state))
        else:
            job.message = read_user_message(project, packet.payload, packet.response_topic)
        if job.message is not None:
            job.message = self._with_safe_reply_topic(job, job.message)
            _set_ids(job, job.message)

    def settle(self, job: Job) -> None:
        """Use the requested topic of the answer to a job unless it belongs to another session that exists. Raises
        SessionError."""
        if not job.requested_topic or job.message is None:
            return
        requested = replace(job.message, reply_topic=job.requested_topic)
        owner = self._owner(requested)
        if owner is None or not self._has_session(session_key(*owner)):
            job.message = requested
        else:
            logger.warning("ignored a reply topic of another session in project %s", requested.project.name)
        job.requested_topic = ""

    def open_echo_ids(self) -> set[str]:
        """The ids of the echoes of the open packets."""
        return {job.echo_id for job in self.packets.jobs()}

    def forget(self, message: UserMessage) -> None:
        """Forget a request that was rejected or has failed, so that the client may send it again."""
        key = (message.key, message.log_id)
        with self._lock:
            if self._seen.get(key) == _digest(message):
                del self._seen[key]

    def note_answered(self, message: UserMessage) -> None:
        """Record that the answer to a request was delivered: from now on the store says whether it is known."""
        key = (message.key, message.log_id)
        with self._lock:
            if self._seen.get(key) == _digest(message):
                self._answered[key] = self._seen.pop(key)

    def forget_sessions(self, command: Command) -> None:
        """Forget the requests of the sessions that a command clears: what comes behind it is new, though the command
        may still wait for the requests before it."""
        if command.keeps_sessions:
            return
        lane, prefix = _lane_of(command), f"{command.project.name}:"
        is_all = command.session is None
        with self._lock:
            for requests in (self._seen, self._answered):
                for key in [each for each in requests if each[0] == lane or (is_all and each[0].startswith(prefix))]:
                    del requests[key]

    def is_known(self, message: UserMessage) -> bool:
        """Whether the same request is being answered; records it otherwise. Another message with its id is not the same
        request: the turn of the session refuses it."""
        if not message.request_id:
            return False
        key, digest = (message.key, message.log_id), _digest(message)
        with self._lock:
            known = self._seen.setdefault(key, digest)
        return known is not digest and known == digest

    def was_answered(self, message: UserMessage) -> bool:
        """Whether the same request has been answered: unless its session was removed since, the turn of the session
        finds that its client has the answer."""
        with self._lock:
            return bool(message.request_id) and self._answered.get((message.key, message.log_id)) == _digest(message)

    def _with_safe_reply_topic(self, job: Job, message: UserMessage) -> UserMessage:
        """The message; its reply topic is replaced by the default one if it is one that the bridge serves, and as long
        as it may belong to another session."""
        topic = message.reply_topic
        if topic == message.default_topic:
            return message
        head, _, last = topic.rpartition("/")
        if topic in self.routes or (last and f"{head}/+" in self.routes):
            logger.warning("ignored a reply topic of requests in project %s", message.project.name)
        else:
            owner = self._owner(message)
            if owner is None or (owner[0].name == message.project.name and owner[1] == message.session):
                return message
            job.requested_topic = topic
        return replace(message, reply_topic=message.default_topic)

    def _owner(self, message: UserMessage) -> tuple[Project, str] | None:
        """The project and the session that the reply topic of a message belongs to; None: a topic of neither."""
        topic = message.reply_topic
        for project in (message.project, *(project for project, _ in self.routes.values())):
            for prefix in (project.answers, project.hints):
                if prefix and topic.startswith(f"{prefix}/"):
                    return project, unquote(topic.removeprefix(f"{prefix}/").strip("/").partition("/")[0])
        levels = topic.split("/")
        if len(levels) > 2 and levels[1] in ("assistant_response", "hint"):  # of a project that another bridge serves
            return replace(message.project, name=levels[0]), unquote(levels[2])
        return None

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


def _lane_of(command: Command) -> str:
    return command.project.name if command.session is None else session_key(command.project, command.session)


def _set_ids(job: Job, message: UserMessage) -> None:
    """Set the ids of a job, and that of its message in the session's log.

    A request is identified by its topic, clientId and requestId, because several clients of one session may use the
    same requestIds. A message without a requestId is identified by its packet identifier and payload.
    """
    packet = job.packet
    request = json.dumps([packet.topic, message.client_id, message.request_id])
    source = b"r" + request.encode() if message.request_id else b"p" + packet.payload
    job.digest = _digest_of(f"{message.project.name}:" if message.is_new_session else message.key, source)
    job.lane = f"{message.project.name}:new:{job.digest}" if message.is_new_session else message.key
    if message.request_id:
        job.message, job.echo_id = replace(message, log_id=f"request-{job.digest}"), job.digest
    else:
        log_id = f"packet-{packet.packet_id}-{job.digest}"
        job.message = replace(message, log_id=log_id, is_retry=packet.is_duplicate)
        job.echo_id = f"{job.digest}-{packet.packet_id}"


def _digest_of(key: str, source: bytes) -> str:
    return hashlib.sha256(f"{key}\n".encode() + source).hexdigest()[:32]
