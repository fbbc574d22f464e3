"""The bridge itself: from the broker to the answerer, and back.

A message is acknowledged to the broker when the broker has its answer, so that one that was taken by a bridge which was
killed comes again. What comes twice (the same requestId, or the same packet) is answered once.
"""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from agentkit import SessionError
from agentkit.serving.chat_service import Answerer
from agentkit.serving.mqtt.broker import SYNC_SECONDS, BrokerSettings, Link, Packet
from agentkit.serving.mqtt.group_order import PATIENCE, Order
from agentkit.serving.mqtt.payloads import (
    BadPayloadError,
    Command,
    UserMessage,
    read_command,
    read_state,
    read_user_message,
    session_key,
    topic_level,
)
from agentkit.serving.mqtt.projects import Project
from agentkit.serving.mqtt.recent import Recent
from agentkit.serving.mqtt.responder import Replies
from agentkit.serving.mqtt.session_queue import Lanes
from agentkit.serving.rate_limit import Rates

logger = logging.getLogger("agentkit.mqtt")

messages = logging.getLogger("agentkit.mqtt.messages")
messages.propagate = False
messages.setLevel(logging.CRITICAL)
"""What is said in full: nowhere, unless a file is given for it."""

OVERLOADED = "Server is overloaded. Please try again in a moment."
TOO_FAST = "Error: Rate limit exceeded. Please slow down your requests."
COMMANDS = {"template": "template", "clear_history": "clear", "delete_session": "delete"}
MOST_REMEMBERED = 20_000


@dataclass(frozen=True)
class BridgeSettings(BrokerSettings):
    """Where the broker is, and what the bridge bears.

    queue: messages that wait at most. rate: messages of a session in a minute; rates: where they are counted, for all
    that share it. stop_seconds: for what runs when the bridge is stopped. most_sessions, idle_seconds: what is kept of
    histories.
    """

    workers: int = 12
    queue: int = 1000
    rate: int = 20
    rates: str = "memory://"
    stop_seconds: float = 30.0
    most_sessions: int = 100
    idle_seconds: float = 3600.0


@dataclass
class _Job:
    """A message of the broker on its way. state: of the maze, when it is one. mark: by which an echo of its answer
    knows it."""

    packet: Packet
    message: UserMessage | None = None
    state: dict[str, Any] | None = None
    command: Command | None = None
    mark: str = ""
    came: float = field(default_factory=time.monotonic)

    @property
    def is_same(self) -> tuple[str, bytes]:
        """What a packet that comes again has in common with this one, beside its number."""
        return self.packet.topic, hashlib.sha256(self.packet.payload).digest()


class Bridge:
    """Serves projects between a broker and an answerer. Raises ConfigurationError where TLS can't be set up."""

    def __init__(self, projects: tuple[Project, ...], answerer: Answerer, settings: BridgeSettings) -> None:
        self._projects = projects
        self._replies = Replies(answerer)
        self._settings = settings
        self._routes = routes_of(projects)
        self._answers = answers_of(projects)
        self._lock = threading.Lock()
        self._open: dict[int, _Job] = {}
        self._closed: Recent[int, tuple[str, bytes]] = Recent(MOST_REMEMBERED)
        self._seen: Recent[tuple[str, str], bool] = Recent(MOST_REMEMBERED)
        self._accepted: set[str] = set()
        self._sending: dict[str, Packet | None] = {}
        self._rates = Rates(settings.rate, settings.rates)
        self._order = Order() if settings.group else None
        self._is_ready = threading.Event()
        self._stopped = threading.Event()
        self._seconds = 0.0
        self.counts = {"processed": 0, "errors": 0, "rejected": 0}
        self._lanes: Lanes[_Job] = Lanes(settings.workers, settings.queue, self._do)
        most = settings.queue + settings.workers + 100
        self._link = Link(settings, list(self._routes), [f"{topic}#" for topic in self._answers], self._on_packet, most)

    @property
    def status_topic(self) -> str:
        """Where it is told whether the bridge is there: "online", "offline"; retained."""
        return self._link.status_topic

    @property
    def is_connected(self) -> bool:
        """Whether the broker gives it messages just now."""
        return self._link.is_connected.is_set()

    def start(self, seconds: float = 10.0) -> None:
        """Connect, and serve in threads of its own. Raises OSError when the broker can't be reached, or refuses."""
        self._link.start(seconds)
        if not self._link.synced.wait(SYNC_SECONDS):
            logger.warning(
                "the broker has not shown the bridge its own answers (%s/#) so far: one that is on its way when the "
                "bridge is killed may come twice",
                self._projects[0].answers,
            )
        self._is_ready.set()
        self._lanes.start()
        logger.info("%d projects are served", len(self._projects))
        threading.Thread(target=self._look_after, name="agentkit-bridge", daemon=True).start()

    def _look_after(self) -> None:
        """Tell how it goes each minute, and drop histories that are idle or too many."""
        minutes = 0
        while not self._stopped.wait(60):
            minutes += 1
            done = self.counts["processed"] + self.counts["errors"]
            logger.info(
                "%s, %d waiting, %.2f s from message to answer on average",
                ", ".join(f"{count} {name}" for name, count in self.counts.items()),
                len(self._lanes),
                self._seconds / done if done else 0.0,
            )
            if self._lanes.filling > 0.7:
                logger.warning("the queue is %d %% full", self._lanes.filling * 100)
            if minutes % 5 == 0:
                try:
                    self.tidy()
                except SessionError as error:
                    logger.warning("old histories can't be dropped: %s", error)

    def tidy(self) -> None:
        """Drop histories that are idle, and the oldest of those that are too many."""
        for project in self._projects:
            self._replies.tidy(project, self._settings.most_sessions, self._settings.idle_seconds)

    def stop(self) -> None:
        """Take nothing more, finish what runs, and leave; what was not answered comes again from the broker."""
        self._link.leave_group()
        left = self._lanes.stop(self._settings.stop_seconds)
        lost = [job for job in left if job.packet.qos == 0 and job.message is not None]
        for job in lost:  # the broker has them no more: they can only be asked again
            self._send(job, OVERLOADED, lambda: None)
        if left:
            logger.info("%d messages are handed back to the broker", len(left) - len(lost))
        self._link.stop()
        self._stopped.set()

    # ---- what comes in, in the network's thread

    def _on_packet(self, packet: Packet) -> None:
        if packet.topic.startswith(self._answers) and packet.topic not in self._routes:
            self._hear_echo(packet)
            return
        job = _Job(packet)
        if not packet.is_witnessed:
            messages.debug("in  %r %r", packet.topic, packet.payload)
            if self._is_same_packet(job):
                return
        try:
            self._take(job)
        except BadPayloadError as error:
            self._leave_out(job, str(error))
        except Exception as error:  # noqa: BLE001 - whatever a hostile message brings about
            messages.debug("failed", exc_info=True)
            self._leave_out(job, type(error).__name__)

    def _hear_echo(self, packet: Packet) -> None:
        """An answer of this bridge, or of another of its group. The broker keeps it until it is noted that the request
        was answered."""
        with self._lock:
            is_kept = packet.mark in self._sending and packet.qos > 0
            if is_kept:
                self._sending[str(packet.mark)] = packet
        if not is_kept:
            self._link.acknowledge(packet)
        if packet.mark is None:
            return
        if not self._is_ready.is_set():
            self._accepted.add(packet.mark)
        if self._order is not None:
            mark, _, number = packet.mark.partition("-")
            self._order.done(mark, is_known_again=not number)

    def _is_same_packet(self, job: _Job) -> bool:
        """Whether the broker sends a packet again, since the connection broke; what was done with it is told again."""
        packet = job.packet
        with self._lock:
            if packet.is_again and packet.number in self._open and self._open[packet.number].is_same == job.is_same:
                return True
            is_done = packet.is_again and self._closed.get(packet.number) == job.is_same
            if packet.qos and not is_done:
                self._open[packet.number] = job
        if is_done:
            self._link.acknowledge(packet)
        return is_done

    def _leave_out(self, job: _Job, why: str) -> None:
        if not job.packet.is_witnessed:
            logger.warning("a message on %.200r is left out: %s", job.packet.topic, why)
            self._acknowledge(job)

    def _take(self, job: _Job) -> None:
        packet = job.packet
        project, kind, level = self._route(packet.topic)
        if kind not in ("user", "state"):
            if not packet.is_witnessed:
                self._take_command(job, read_command(project, kind, level, packet.payload))
            return
        if kind == "state":
            job.message, job.state = read_state(project, packet.payload)
        else:
            job.message = read_user_message(project, packet.payload, packet.response_topic)
        if job.message is None:
            self._leave_out(job, "it is blank")
            return
        job.message, job.mark = _marked(self._on_its_own_topic(job.message), packet)
        if packet.is_witnessed:
            if self._order is not None:
                self._order.heard(job.message.key, job.mark.partition("-")[0])
        elif self._is_known(job.message):
            self._acknowledge(job)
        elif not (self._is_backlog or self._rates.allows(job.message.key)):
            self._reject(job, job.message, TOO_FAST)
        elif not self._lanes.put(job.message.key, job, always=self._is_backlog):
            self._reject(job, job.message, OVERLOADED)

    @property
    def _is_backlog(self) -> bool:
        """Whether what comes was sent while the bridge was away: then it comes all at once, through no fault of the
        client's. The broker gives no more of it at a time than the bridge has told it to bear."""
        return not self._link.synced.is_set()

    def _on_its_own_topic(self, message: UserMessage) -> UserMessage:
        """The message; where it wants its answer on a topic of another session that there is, with the usual topic."""
        named = message.answered_session
        is_answer = message.reply_topic.startswith(f"{message.project.answers}/")
        key = session_key(message.project, named)
        if is_answer and named != message.session and self._replies.knows(key):
            logger.warning("a replyTopic is ignored that is another session's, of project %s", message.project.name)
            return replace(message, reply_topic=message.usual_topic)
        return message

    def _take_command(self, job: _Job, command: Command) -> None:
        job.command = command
        key = session_key(command.project, command.session) if command.session is not None else command.project.name
        if not self._lanes.put(key, job):
            logger.warning("a %s is left out: there is no room for it", command.kind)
            self._acknowledge(job)

    def _route(self, topic: str) -> tuple[Project, str, str | None]:
        if topic in self._routes:
            return (*self._routes[topic], None)
        head, _, level = topic.rpartition("/")
        if f"{head}/+" in self._routes:
            return (*self._routes[f"{head}/+"], level)
        raise BadPayloadError("nobody listens to this topic")

    def _is_known(self, message: UserMessage) -> bool:
        """Whether the same request was taken before."""
        if not message.request_id:
            return False
        key = (message.key, message.mark)
        with self._lock:
            if key in self._seen:
                return True
            self._seen[key] = True
        return False

    def _reject(self, job: _Job, message: UserMessage, text: str) -> None:
        if self._stopped.is_set() or self._lanes.is_stopped:
            return  # it comes again
        self.counts["rejected"] += 1
        logger.warning("a message of session %s is rejected: %s", message.key, text)
        with self._lock:  # it may come again
            self._seen.pop((message.key, message.mark), None)
        self._send(job, text, lambda: self._acknowledge(job))

    # ---- the work, in the lanes

    def _do(self, job: _Job) -> bool:
        """Whether the job is done; else its time has not come."""
        try:
            if job.command is not None:
                self._command(job.command)
                self._acknowledge(job)
            elif job.message is not None:
                if not self._is_its_turn(job, job.message):
                    time.sleep(0.01)
                    return False
                self._serve(job, job.message)
        except Exception as error:  # noqa: BLE001 - the client is told
            self.counts["errors"] += 1
            logger.error("a message got no answer: %s", type(error).__name__)  # its text may quote what was said
            messages.debug("failed", exc_info=True)
            if job.message is not None:
                self._send(job, f"Error: {type(error).__name__}", lambda: self._acknowledge(job))
        return True

    def _is_its_turn(self, job: _Job, message: UserMessage) -> bool:
        if self._order is None or not self._link.sees_echoes:
            return True
        mark, waited = job.mark.partition("-")[0], time.monotonic() - job.came
        if self._order.is_first(message.key, mark, waited):
            return True
        if waited < PATIENCE or self._replies.is_busy(message):
            return False
        self._order.pass_over(message.key, mark)  # those before it were a bridge's that is gone
        return True

    def _serve(self, job: _Job, message: UserMessage) -> None:
        if (
            job.mark in self._accepted and message.is_known_again
        ):  # the broker has had the answer from the bridge that was killed
            self._accepted.discard(job.mark)
            self._replies.note_answered(message)
            self._acknowledge(job)
            return
        text = self._answer(job, message)
        if text is None:
            self._acknowledge(job)
            return
        with self._lock:
            self._sending[job.mark] = None
        try:
            is_delivered = threading.Event()
            self._send(job, text, is_delivered.set)
            while not is_delivered.wait(0.5):
                if self._stopped.is_set():
                    return
            self._note_answered(message)
        finally:
            with self._lock:
                echo = self._sending.pop(job.mark, None)
        if echo is not None:
            self._link.acknowledge(echo)
        self._acknowledge(job)
        is_error = text.startswith(("Error: ", '{"hint": "Error: '))
        self.counts["errors" if is_error else "processed"] += 1
        self._seconds += time.monotonic() - job.came

    def _answer(self, job: _Job, message: UserMessage) -> str | None:
        if job.state is not None:
            hint = self._replies.hint(message, job.state)
            return None if hint is None else json.dumps(hint, ensure_ascii=False)
        return self._replies.answer(message, self._teller(message) if message.stream else None)

    def _teller(self, message: UserMessage) -> Callable[[str], object]:
        topic = f"{message.project.answers}/{topic_level(message.session)}/stream"

        def tell(text: str) -> None:
            # ASCII: a piece may hold half of a surrogate pair
            self._link.tell(topic, json.dumps({"delta": text, "requestId": message.request_id}))

        return tell

    def _command(self, command: Command) -> None:
        project, session = command.project, command.session
        keys = self._replies.sessions_of(project) if session is None else [session_key(project, session)]
        if command.kind == "template":
            self._replies.templates.set(project, session, command.template)
        if command.kind == "delete":
            self._replies.templates.drop(project, session)
        if command.kind != "template" or command.reset:
            self._replies.answerer.forget(keys)
        notice = {"template": "Template updated", "clear": "History cleared"}.get(command.kind)
        if notice and session is not None and project.hints:
            self._link.publish(f"{project.hints}/{topic_level(session)}", json.dumps({"hint": notice}))

    def _note_answered(self, message: UserMessage) -> None:
        try:
            self._replies.note_answered(message)
        except Exception as error:  # noqa: BLE001 - the client has its answer
            logger.error("an answer could not be noted: %s", type(error).__name__)

    def _send(self, job: _Job, text: str, then: Callable[[], object]) -> None:
        assert job.message is not None
        payload = json.dumps({"hint": text}) if job.state is not None and not text.startswith("{") else text
        messages.debug("out %r %r", job.message.reply_topic, payload)
        correlation = job.packet.correlation
        self._link.publish(job.message.reply_topic, payload, mark=job.mark, correlation=correlation, then=then)

    def _acknowledge(self, job: _Job) -> None:
        with self._lock:
            if self._open.get(job.packet.number) is job:
                del self._open[job.packet.number]
                self._closed[job.packet.number] = job.is_same
        self._link.acknowledge(job.packet)


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


def _marked(message: UserMessage, packet: Packet) -> tuple[UserMessage, str]:
    """The message with the mark by which the log of its session knows it; and the mark by which bridges do. A request
    is known by its topic, the client's id and its own, since several clients of one session may count alike. A message
    without a requestId is known by its packet's number and its text; only the part of the mark before the "-" is the
    same for all bridges, who give packets other numbers."""
    own = json.dumps([packet.topic, message.client_id, message.request_id])
    told = b"r" + own.encode() if message.request_id else b"p" + packet.payload
    digest = hashlib.sha256(f"{message.key}\n".encode() + told).hexdigest()[:32]
    if message.request_id:
        return replace(message, mark=f"request-{digest}"), digest
    mark = f"packet-{packet.number}-{digest}"
    return replace(message, mark=mark, is_known_again=packet.is_again), f"{digest}-{packet.number}"
