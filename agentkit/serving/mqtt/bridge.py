"""The bridge itself: from the broker to the answerer, and back.

A message is acknowledged to the broker when the broker has its answer, so that one that was taken by a bridge which was
killed comes again. What comes twice (the same requestId, or the same packet) is answered once.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from agentkit import SessionError
from agentkit.serving.chat_service import ChatService
from agentkit.serving.mqtt.broker import SYNC_SECONDS, BrokerConnection, BrokerSettings, Packet
from agentkit.serving.mqtt.group_order import PATIENCE, GroupOrder
from agentkit.serving.mqtt.intake import Intake, Job, answers_of
from agentkit.serving.mqtt.payloads import (
    BadPayloadError,
    Command,
    UserMessage,
    session_key,
    topic_level,
)
from agentkit.serving.mqtt.projects import Project
from agentkit.serving.mqtt.responder import Responder
from agentkit.serving.mqtt.session_queue import SessionQueue
from agentkit.serving.rate_limit import RateLimiter

logger = logging.getLogger("agentkit.mqtt")

messages = logging.getLogger("agentkit.mqtt.messages")
messages.propagate = False
messages.setLevel(logging.CRITICAL)
"""What is said in full: nowhere, unless a file is given for it."""

OVERLOADED = "Server is overloaded. Please try again in a moment."
TOO_FAST = "Error: Rate limit exceeded. Please slow down your requests."


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
    max_sessions: int = 100
    idle_seconds: float = 3600.0


class Bridge:
    """Serves projects between a broker and an answerer. Raises ConfigurationError where TLS can't be set up."""

    def __init__(self, projects: tuple[Project, ...], answerer: ChatService, settings: BridgeSettings) -> None:
        self._projects = projects
        self._replies = Responder(answerer)
        self._settings = settings
        self._intake = Intake(projects, self._replies.knows)
        self._answers = answers_of(projects)
        self._lock = threading.Lock()
        self._accepted: set[str] = set()
        self._sending: dict[str, Packet | None] = {}
        self._rates = RateLimiter(settings.rate, settings.rates)
        self._order = GroupOrder() if settings.group else None
        self._is_ready = threading.Event()
        self._stopped = threading.Event()
        self._seconds = 0.0
        self.counts = {"processed": 0, "errors": 0, "rejected": 0}
        self._lanes: SessionQueue[Job] = SessionQueue(settings.workers, settings.queue, self._do)
        max_inflight = settings.queue + settings.workers + 100
        self._connection = BrokerConnection(
            settings, list(self._intake.routes), [f"{topic}#" for topic in self._answers], self._on_packet, max_inflight
        )

    @property
    def status_topic(self) -> str:
        """Where it is told whether the bridge is there: "online", "offline"; retained."""
        return self._connection.status_topic

    @property
    def is_connected(self) -> bool:
        """Whether the broker gives it messages just now."""
        return self._connection.is_connected.is_set()

    def start(self, seconds: float = 10.0) -> None:
        """Connect, and serve in threads of its own. Raises OSError when the broker can't be reached, or refuses."""
        self._connection.start(seconds)
        if not self._connection.synced.wait(SYNC_SECONDS):
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
            self._replies.tidy(project, self._settings.max_sessions, self._settings.idle_seconds)

    def stop(self) -> None:
        """Take nothing more, finish what runs, and leave; what was not answered comes again from the broker."""
        self._connection.leave_group()
        left = self._lanes.stop(self._settings.stop_seconds)
        lost = [job for job in left if job.packet.qos == 0 and job.message is not None]
        for job in lost:  # the broker has them no more: they can only be asked again
            self._send(job, OVERLOADED, lambda: None)
        if left:
            logger.info("%d messages are handed back to the broker", len(left) - len(lost))
        self._connection.stop()
        self._stopped.set()

    # ---- what comes in, in the network's thread

    def _on_packet(self, packet: Packet) -> None:
        if packet.topic.startswith(self._answers) and packet.topic not in self._intake.routes:
            self._hear_echo(packet)
            return
        job = Job(packet)
        if not packet.is_observed:
            messages.debug("in  %r %r", packet.topic, packet.payload)
            state = self._intake.packet_state(job)
            if state == "closed":
                self._connection.acknowledge(packet)
            if state != "new":
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
            is_kept = packet.echo_id in self._sending and packet.qos > 0
            if is_kept:
                self._sending[str(packet.echo_id)] = packet
        if not is_kept:
            self._connection.acknowledge(packet)
        if packet.echo_id is None:
            return
        if not self._is_ready.is_set():
            self._accepted.add(packet.echo_id)
        if self._order is not None:
            echo_id, _, number = packet.echo_id.partition("-")
            self._order.done(echo_id, is_retry=not number)

    def _leave_out(self, job: Job, why: str) -> None:
        if not job.packet.is_observed:
            logger.warning("a message on %.200r is left out: %s", job.packet.topic, why)
            self._acknowledge(job)

    def _take(self, job: Job) -> None:
        packet = job.packet
        self._intake.read(job)
        if job.command is not None:
            self._queue_command(job, job.command)
        elif job.message is None:
            if not packet.is_observed:
                self._leave_out(job, "it is blank")
        elif packet.is_observed:
            if self._order is not None:
                self._order.heard(job.message.key, job.echo_id.partition("-")[0])
        elif self._intake.is_known(job.message):
            self._acknowledge(job)
        elif not (self._is_backlog or self._rates.allows(job.message.key)):
            self._reject(job, job.message, TOO_FAST)
        elif not self._lanes.put(job.message.key, job, always=self._is_backlog):
            self._reject(job, job.message, OVERLOADED)

    @property
    def _is_backlog(self) -> bool:
        """Whether what comes was sent while the bridge was away: then it comes all at once, through no fault of the
        client's. The broker gives no more of it at a time than the bridge has told it to bear."""
        return not self._connection.synced.is_set()

    def _queue_command(self, job: Job, command: Command) -> None:
        key = session_key(command.project, command.session) if command.session is not None else command.project.name
        if not self._lanes.put(key, job):
            logger.warning("a %s is left out: there is no room for it", command.kind)
            self._acknowledge(job)

    def _reject(self, job: Job, message: UserMessage, text: str) -> None:
        if self._stopped.is_set() or self._lanes.is_stopped:
            return  # it comes again
        self.counts["rejected"] += 1
        logger.warning("a message of session %s is rejected: %s", message.key, text)
        self._intake.forget(message)
        self._send(job, text, lambda: self._acknowledge(job))

    # ---- the work, in the lanes

    def _do(self, job: Job) -> bool:
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

    def _is_its_turn(self, job: Job, message: UserMessage) -> bool:
        if self._order is None or not self._connection.sees_echoes:
            return True
        echo_id, waited = job.echo_id.partition("-")[0], time.monotonic() - job.came
        if self._order.is_first(message.key, echo_id, waited):
            return True
        if waited < PATIENCE or self._replies.is_busy(message):
            return False
        self._order.pass_over(message.key, echo_id)  # those before it were a bridge's that is gone
        return True

    def _serve(self, job: Job, message: UserMessage) -> None:
        if (
            job.echo_id in self._accepted and message.is_retry
        ):  # the broker has had the answer from the bridge that was killed
            self._accepted.discard(job.echo_id)
            self._replies.note_answered(message)
            self._acknowledge(job)
            return
        text = self._answer(job, message)
        if text is None:
            self._acknowledge(job)
            return
        with self._lock:
            self._sending[job.echo_id] = None
        try:
            is_delivered = threading.Event()
            self._send(job, text, is_delivered.set)
            while not is_delivered.wait(0.5):
                if self._stopped.is_set():
                    return
            self._note_answered(message)
        finally:
            with self._lock:
                echo = self._sending.pop(job.echo_id, None)
        if echo is not None:
            self._connection.acknowledge(echo)
        self._acknowledge(job)
        is_error = text.startswith(("Error: ", '{"hint": "Error: '))
        self.counts["errors" if is_error else "processed"] += 1
        self._seconds += time.monotonic() - job.came

    def _answer(self, job: Job, message: UserMessage) -> str | None:
        if job.state is not None:
            hint = self._replies.hint(message, job.state)
            return None if hint is None else json.dumps(hint, ensure_ascii=False)
        return self._replies.answer(message, self._teller(message) if message.stream else None)

    def _teller(self, message: UserMessage) -> Callable[[str], object]:
        topic = f"{message.project.answers}/{topic_level(message.session)}/stream"

        def tell(text: str) -> None:
            # ASCII: a piece may hold half of a surrogate pair
            payload = json.dumps({"delta": text, "requestId": message.request_id})
            self._connection.sender.publish_unconfirmed(topic, payload)

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
            self._connection.sender.publish(f"{project.hints}/{topic_level(session)}", json.dumps({"hint": notice}))

    def _note_answered(self, message: UserMessage) -> None:
        try:
            self._replies.note_answered(message)
        except Exception as error:  # noqa: BLE001 - the client has its answer
            logger.error("an answer could not be noted: %s", type(error).__name__)

    def _send(self, job: Job, text: str, then: Callable[[], object]) -> None:
        assert job.message is not None
        payload = json.dumps({"hint": text}) if job.state is not None and not text.startswith("{") else text
        messages.debug("out %r %r", job.message.reply_topic, payload)
        correlation = job.packet.correlation
        self._connection.sender.publish(
            job.message.reply_topic, payload, echo_id=job.echo_id, correlation=correlation, then=then
        )

    def _acknowledge(self, job: Job) -> None:
        self._intake.close(job)
        self._connection.acknowledge(job.packet)
