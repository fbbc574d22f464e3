"""The bridge: passes messages from the broker to the chat service, and publishes the answers.

A message is acknowledged to the broker only after the broker has confirmed its answer, so a message that was being
processed by a bridge that was killed is redelivered. Duplicates (the same requestId, or the same packet) are answered
once.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agentkit import SessionError
from agentkit.errors import RequestConflictError
from agentkit.serving.chat_service import ChatService
from agentkit.serving.mqtt.broker import SYNC_SECONDS, BrokerConnection, BrokerSettings, Packet
from agentkit.serving.mqtt.group_order import PATIENCE, GroupOrder
from agentkit.serving.mqtt.intake import Intake, Job, answer_prefixes
from agentkit.serving.mqtt.payloads import (
    BadPayloadError,
    Command,
    UserMessage,
    session_key,
    topic_level,
)
from agentkit.serving.mqtt.projects import Project
from agentkit.serving.mqtt.responder import Responder, Response
from agentkit.serving.mqtt.session_queue import SessionQueue
from agentkit.serving.rate_limit import RateLimiter

logger = logging.getLogger("agentkit.mqtt")

messages = logging.getLogger("agentkit.mqtt.messages")
messages.propagate = False
messages.setLevel(logging.CRITICAL)
"""Logs full message contents. Disabled unless a log file is configured (`agentkit mqtt --debug_log`)."""

OVERLOADED = "Server is overloaded. Please try again in a moment."
TOO_FAST = "Error: Rate limit exceeded. Please slow down your requests."


@dataclass(frozen=True)
class BridgeSettings(BrokerSettings):
    """Connection settings of the broker, and the limits of the bridge.

    workers: number of worker threads. queue: maximum number of waiting messages. rate: maximum number of messages
    per session and minute. rates: URL of the storage of the rate limits' counters; bridges with the same storage share
    them. stop_seconds: how long `stop` waits for messages in progress, in seconds. max_sessions: number of histories
    kept per project. idle_seconds: histories that are idle for longer, in seconds, are dropped.
    """

    workers: int = 12
    queue: int = 1000
    rate: int = 20
    rates: str = "memory://"
    stop_seconds: float = 30.0
    max_sessions: int = 100
    idle_seconds: float = 3600.0


class Bridge:
    """Answers the messages of projects on a broker through a chat service.

    Raises ConfigurationError when TLS can't be set up.
    """

    def __init__(self, projects: tuple[Project, ...], service: ChatService, settings: BridgeSettings) -> None:
        self._projects = projects
        self._responder = Responder(service)
        self._settings = settings
        self._intake = Intake(projects, self._responder.knows)
        self._answer_prefixes = answer_prefixes(projects)
        self._lock = threading.Lock()
        self._accepted: dict[str, Packet] = {}
        self._sending: dict[str, Packet | None] = {}
        self._rate_limiter = RateLimiter(settings.rate, settings.rates)
        self._order = GroupOrder() if settings.group else None
        self._is_ready = threading.Event()
        self._stopped = threading.Event()
        self._total_latency = 0.0
        self.counts = {"processed": 0, "errors": 0, "rejected": 0}
        self._queue: SessionQueue[Job] = SessionQueue(settings.workers, settings.queue, self._process)
        max_inflight = settings.queue + settings.workers + 100
        self._connection = BrokerConnection(
            settings,
            list(self._intake.routes),
            [f"{topic}#" for topic in self._answer_prefixes],
            self._on_packet,
            max_inflight,
        )

    @property
    def status_topic(self) -> str:
        """The topic of the retained status message: "online" or "offline"."""
        return self._connection.status_topic

    @property
    def is_connected(self) -> bool:
        """Whether the bridge is connected to the broker and subscribed."""
        return self._connection.is_connected.is_set()

    def start(self, seconds: float = 10.0) -> None:
        """Connect, and serve in background threads.

        seconds: timeout of the connection. Raises OSError when the broker can't be reached or refuses the connection.
        """
        self._connection.start(seconds)
        if not self._connection.synced.wait(SYNC_SECONDS):
            logger.warning(
                "the bridge has not received its own answers (%s/#) from the broker so far: an answer in flight when "
                "the bridge is killed may be delivered twice",
                self._projects[0].answers,
            )
        self._end_backlog()
        self._queue.start()
        logger.info("serving %d projects", len(self._projects))
        threading.Thread(target=self._maintain, name="agentkit-bridge", daemon=True).start()

    def _end_backlog(self) -> None:
        """What was sent while no bridge was running has arrived: acknowledge the echoes whose requests are closed."""
        with self._lock:
            self._is_ready.set()
            unneeded = self._accepted.keys() - self._intake.open_echo_ids()
            echoes = [self._accepted.pop(echo_id) for echo_id in unneeded]
        for echo in echoes:
            if echo.qos:
                self._connection.acknowledge(echo)

    def _maintain(self) -> None:
        """Log statistics each minute, and every 5 minutes drop idle and excess histories."""
        minutes = 0
        while not self._stopped.wait(60):
            minutes += 1
            done = self.counts["processed"] + self.counts["errors"]
            logger.info(
                "%s, %d waiting, average latency %.2f s",
                ", ".join(f"{count} {name}" for name, count in self.counts.items()),
                len(self._queue),
                self._total_latency / done if done else 0.0,
            )
            if self._queue.fill_ratio > 0.7:
                logger.warning("the queue is %d%% full", self._queue.fill_ratio * 100)
            if minutes % 5 == 0:
                try:
                    self.tidy()
                except SessionError as error:
                    logger.warning("failed to drop old histories: %s", error)

    def tidy(self) -> None:
        """Drop idle histories, and the oldest ones beyond `max_sessions`."""
        for project in self._projects:
            self._responder.tidy(project, self._settings.max_sessions, self._settings.idle_seconds)

    def stop(self) -> None:
        """Accept no more messages, finish those in progress, and disconnect.

        The broker redelivers the unanswered messages. Those with QoS 0 can't be redelivered, so they are answered with
        OVERLOADED.
        """
        self._connection.leave_group()
        unprocessed = self._queue.stop(self._settings.stop_seconds)
        lost = [job for job in unprocessed if job.packet.qos == 0 and job.message is not None]
        for job in lost:  # the broker no longer has them: only the client can send them again
            self._send(job, OVERLOADED, lambda: None)
        if unprocessed:
            logger.info("%d messages are left for redelivery by the broker", len(unprocessed) - len(lost))
        self._connection.stop()
        self._stopped.set()

    # ---- incoming packets, on the network thread

    def _on_packet(self, packet: Packet) -> None:
        if packet.topic.startswith(self._answer_prefixes) and packet.topic not in self._intake.routes:
            self._on_echo(packet)
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
            self._ignore(job, str(error))
        except Exception as error:  # noqa: BLE001 - no message may stop the network thread
            messages.debug("failed", exc_info=True)
            self._ignore(job, type(error).__name__)

    def _on_echo(self, packet: Packet) -> None:
        """Handle an echo: an answer of this bridge, or of another one of its group.

        An echo of a request in progress is acknowledged only after the request is recorded as answered, and so is one
        of a request that a killed bridge has left: this bridge may be killed before it has recorded it.
        """
        with self._lock:
            is_kept = packet.echo_id in self._sending and packet.qos > 0
            if is_kept:
                self._sending[str(packet.echo_id)] = packet
            elif packet.echo_id is not None and not self._is_ready.is_set():
                self._accepted[packet.echo_id] = packet
                is_kept = packet.qos > 0
        if not is_kept:
            self._connection.acknowledge(packet)
        if packet.echo_id is None:
            return
        if self._order is not None:
            echo_id, _, packet_id = packet.echo_id.partition("-")
            self._order.answered(echo_id, is_retry=not packet_id)

    def _ignore(self, job: Job, why: str) -> None:
        if not job.packet.is_observed:
            logger.warning("ignored a message on %.200r: %s", job.packet.topic, why)
            self._acknowledge(job)

    def _take(self, job: Job) -> None:
        packet = job.packet
        self._intake.read(job)
        if job.command is not None:
            self._queue_command(job, job.command)
        elif job.message is None:
            if not packet.is_observed:
                self._ignore(job, "the message is empty")
        elif packet.is_observed:
            if self._order is not None:
                self._order.published(job.message.key, job.echo_id.partition("-")[0])
        elif self._intake.is_known(job.message):
            self._acknowledge(job)
        elif not (self._is_backlog or self._rate_limiter.allows(job.message.key)):
            self._reject(job, job.message, TOO_FAST)
        elif not self._queue.put(job.message.key, job, always=self._is_backlog):
            self._reject(job, job.message, OVERLOADED)

    @property
    def _is_backlog(self) -> bool:
        """Whether incoming messages were sent while the bridge was not running.

        They arrive all at once, which is not the client's doing, so neither the rate limit nor the queue limit applies.
        The bridge's Receive Maximum bounds how many of them are in flight.
        """
        return not self._connection.synced.is_set()

    def _queue_command(self, job: Job, command: Command) -> None:
        key = session_key(command.project, command.session) if command.session is not None else command.project.name
        if not self._queue.put(key, job):
            logger.warning("ignored a %s command: the queue is full", command.kind)
            self._acknowledge(job)

    def _reject(self, job: Job, message: UserMessage, text: str) -> None:
        if self._stopped.is_set() or self._queue.is_stopped:
            return  # the broker will redeliver it
        self.counts["rejected"] += 1
        logger.warning("rejected a message of session %s: %s", message.key, text)
        self._intake.forget(message)
        self._send(job, text, lambda: self._acknowledge(job))

    # ---- processing, on the worker threads

    def _process(self, job: Job) -> bool:
        """Process a job. Returns False when messages before it are not answered yet: it must be tried again."""
        try:
            if job.command is not None:
                self._command(job.command)
                self._acknowledge(job)
            elif job.message is not None:
                if not self._is_its_turn(job, job.message):
                    time.sleep(0.01)
                    return False
                self._serve(job, job.message)
        except Exception as error:  # noqa: BLE001 - the error is reported to the client
            self.counts["errors"] += 1
            logger.error("failed to answer a message: %s", type(error).__name__)  # its text may quote the message
            messages.debug("failed", exc_info=True)
            if job.message is not None:
                self._intake.forget(job.message)
                self._send(job, f"Error: {type(error).__name__}", lambda: self._acknowledge(job))
        return True

    def _is_its_turn(self, job: Job, message: UserMessage) -> bool:
        if self._order is None or not self._connection.sees_echoes:
            return True
        echo_id, waited = job.echo_id.partition("-")[0], time.monotonic() - job.arrived
        if self._order.is_first(message.key, echo_id, waited):
            return True
        if waited < PATIENCE or self._responder.is_busy(message):
            return False
        self._order.pass_over(message.key, echo_id)  # the messages before it belonged to a bridge that is gone
        return True

    def _serve(self, job: Job, message: UserMessage) -> None:
        if self._was_accepted(job, message):
            self._acknowledge(job)
            return
        response = self._answer(job, message)
        if response is None:
            self._acknowledge(job)
            return
        if response.is_error:
            self._intake.forget(message)  # the client may send it again: what was done of it is kept
        with self._lock:
            self._sending[job.echo_id] = None
        try:
            is_delivered = threading.Event()
            self._send(job, response.text, is_delivered.set)
            while not is_delivered.wait(0.5):
                if self._stopped.is_set():
                    return
            if not response.is_error:
                self._note_delivered(message)
        finally:
            with self._lock:
                echo = self._sending.pop(job.echo_id, None)
        if echo is not None:
            self._connection.acknowledge(echo)
        self._acknowledge(job)
        self.counts["errors" if response.is_error else "processed"] += 1
        self._total_latency += time.monotonic() - job.arrived

    def _was_accepted(self, job: Job, message: UserMessage) -> bool:
        """Whether a bridge that was killed had already delivered the answer to the broker."""
        if job.echo_id not in self._accepted or not message.is_retry:
            return False
        try:
            is_answered = self._responder.is_answered(message)
        except RequestConflictError:
            return False  # the answer was that to another message
        if is_answered:
            self._responder.note_delivered(message)
        else:  # it was an error
            self._intake.forget(message)
        echo = self._accepted.pop(job.echo_id)
        if echo.qos:
            self._connection.acknowledge(echo)
        return True

    def _answer(self, job: Job, message: UserMessage) -> Response | None:
        if job.state is not None:
            return self._responder.hint(message, job.state)
        return self._responder.answer(message, self._frame_publisher(message) if message.stream else None)

    def _frame_publisher(self, message: UserMessage) -> Callable[[Mapping[str, Any]], object]:
        topic = f"{message.project.answers}/{topic_level(message.session)}/stream"

        def publish_frame(frame: Mapping[str, Any]) -> None:
            rest = {name: value for name, value in frame.items() if name != "content"}
            # Each has a delta, which clients of text add up. json.dumps escapes to ASCII: it may be half a surrogate.
            payload = json.dumps({"delta": frame.get("content", ""), "requestId": message.request_id, **rest})
            self._connection.sender.publish_unconfirmed(topic, payload)

        return publish_frame

    def _command(self, command: Command) -> None:
        project, session = command.project, command.session
        keys = self._responder.sessions_of(project) if session is None else [session_key(project, session)]
        if command.kind == "template":
            self._responder.templates.set(project, session, command.template)
        if command.kind == "delete":
            self._responder.templates.drop(project, session)
        if command.kind != "template" or command.reset:
            self._responder.service.forget(keys)
        notice = {"template": "Template updated", "clear": "History cleared"}.get(command.kind)
        if notice and session is not None and project.hints:
            self._connection.sender.publish(f"{project.hints}/{topic_level(session)}", json.dumps({"hint": notice}))

    def _note_delivered(self, message: UserMessage) -> None:
        try:
            self._responder.note_delivered(message)
        except Exception as error:  # noqa: BLE001 - the client already has the answer
            logger.error("failed to record an answer: %s", type(error).__name__)

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
