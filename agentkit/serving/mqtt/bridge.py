"""The bridge: passes messages from the broker to the chat service, and publishes the answers.

A message is acknowledged to the broker only after the broker has confirmed its answer, so a message that was being
processed by a bridge that was killed is redelivered. Duplicates (the same requestId, or the same packet) are answered
once. In a group each bridge receives all messages, and who answers one is decided as agentkit.serving.mqtt.group says.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable

from agentkit import ConfigurationError, SessionError
from agentkit.errors import RequestConflictError
from agentkit.serving.chat_service import ChatService
from agentkit.serving.mqtt.broker import SYNC_SECONDS, BrokerConnection, Packet
from agentkit.serving.mqtt.decoding import BadPayloadError
from agentkit.serving.mqtt.delivery import Delivery, Echoes
from agentkit.serving.mqtt.group import Group
from agentkit.serving.mqtt.health_file import keep_health_file
from agentkit.serving.mqtt.intake import Intake, Job, answer_prefixes
from agentkit.serving.mqtt.payloads import Command, UserMessage
from agentkit.serving.mqtt.projects import Project
from agentkit.serving.mqtt.publishing import Publisher
from agentkit.serving.mqtt.responder import Responder, Response
from agentkit.serving.mqtt.session_queue import SessionQueue
from agentkit.serving.mqtt.settings import BridgeSettings
from agentkit.serving.rate_limit import RateLimiter

logger = logging.getLogger("agentkit.mqtt")

messages = logging.getLogger("agentkit.mqtt.messages")
messages.propagate = False
if messages.level == logging.NOTSET:
    messages.setLevel(logging.CRITICAL)
"""Logs full message contents. Disabled unless a log file is configured (`agentkit mqtt --debug-log`)."""

OVERLOADED = "Server is overloaded. Please try again in a moment."
TOO_FAST = "Error: Rate limit exceeded. Please slow down your requests."

OFFLINE_SECONDS = 0.3
"""After how many seconds a message is tried again that can't be answered because the broker or the store is away."""
IN_FLIGHT_SECONDS = 0.2
"""How long what a killed bridge has sent takes to be read by the broker, at most, in seconds."""
HELLO_SECONDS = 0.3
"""How long a bridge waits for the others of its group to introduce themselves, in seconds."""


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
        self._echoes = Echoes()
        self._rate_limiter = RateLimiter(settings.rate)  # in a group each bridge counts all messages
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
            self._on_notice,
        )
        self._publisher = Publisher(self._connection, self._answer_prefixes)
        self._group: Group | None = None
        if settings.group:
            self._group = Group(service.sessions, settings.client_id, self._connection.notify)

    @property
    def status_topic(self) -> str:
        """The topic of the retained status message: "online" or "offline"."""
        return self._connection.status_topic

    @property
    def is_connected(self) -> bool:
        """Whether the bridge is connected to the broker and subscribed."""
        return self._connection.is_connected.is_set()

    def start(self, seconds: float = 10.0, *, begins: bool = True) -> None:
        """Connect, and serve in background threads. begins: False to answer nothing until `begin` is called.

        seconds: timeout of the connection. Raises OSError when the broker can't be reached or refuses the connection,
        SessionError when a bridge of a group can't use the session store, ConfigurationError when another bridge uses
        the client id, or another one of the group another session store, and for a group on a broker without MQTT 5.
        """
        self._connection.start(seconds)
        if not self._connection.wait_for_backlog():
            logger.warning(
                "the bridge has not received its own messages from the broker so far (it needs read access to %s/#, "
                "and read and write access to agentkit/bridge/#): %s",
                self._projects[0].answers,
                "a bridge of a group can't answer without them"
                if self._group
                else "an answer in flight when the bridge is killed may be delivered twice",
            )
        if self._group is not None:
            self._join(self._group)
        self._end_backlog()
        if begins:
            self.begin()
        logger.info("serving %d projects", len(self._projects))
        threading.Thread(target=self._maintain, name="agentkit-bridge", daemon=True).start()
        if (file := self._settings.health_file) is not None:
            given = (file, lambda: self.is_connected and self._connection.sender.is_connected, self._stopped)
            threading.Thread(target=keep_health_file, args=given, name="agentkit-health", daemon=True).start()

    def begin(self) -> None:
        """Begin to answer the messages that have arrived so far, and those that follow."""
        self._queue.start()

    def _join(self, group: Group) -> None:
        try:
            group.greet()
            self._stopped.wait(HELLO_SECONDS)
            group.check_store()
        except (ConfigurationError, SessionError):
            self._connection.stop()
            raise

    def _end_backlog(self) -> None:
        """What was sent while no bridge was running has arrived: acknowledge the echoes whose requests are closed."""
        with self._lock:
            self._is_ready.set()
            unneeded = self._accepted.keys() - self._intake.open_echo_ids()
            echoes = [self._accepted.pop(echo_id) for echo_id in unneeded]
        for echo in echoes:
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
        unprocessed = self._queue.stop(self._settings.stop_seconds)
        lost = [job for job in unprocessed if job.packet.qos == 0 and job.message is not None]
        if self._group is not None and self._group.has_others:
            lost = []  # they have these messages too
        for job in lost:  # the broker no longer has them: only the client can send them again
            self._publisher.send(job, OVERLOADED, lambda: None)
        if self._group is not None:
            self._group.leave()
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
        messages.debug("in  %s %r", packet.topic, packet.payload.decode("utf-8", "replace"))
        if (state := self._intake.packets.add(job)) != "new":
            if state == "closed":
                self._connection.acknowledge(packet)
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
        if packet.echo_id is None:
            self._connection.acknowledge(packet)
            return
        is_kept = self._echoes.keep(packet)
        with self._lock:
            if not is_kept and self._group is None and not self._is_ready.is_set():
                self._accepted[packet.echo_id] = packet
                is_kept = packet.qos > 0
        job = self._group.answered(packet.echo_id) if self._group is not None else None
        if job is not None:
            job.echo = packet
            self._queue.wake(job.queue)
        elif not is_kept:
            self._connection.acknowledge(packet)

    def _on_notice(self, payload: bytes) -> None:
        job = self._group.read_notice(payload) if self._group is not None else None
        if job is not None:
            self._queue.wake(job.queue)

    def _ignore(self, job: Job, why: str) -> None:
        logger.warning("ignored a message on %.200r: %s", job.packet.topic, why)
        self._acknowledge(job)

    def _take(self, job: Job) -> None:
        self._intake.read(job)
        if job.message is None and job.command is None:
            self._ignore(job, "the message is empty")
        elif job.message is not None and self._intake.is_known(job.message):
            self._close(job)
        else:
            if job.command is not None:
                self._intake.forget_sessions(job.command)
            if self._group is not None:
                self._group.expect(job)
            self._queue_up(job)

    def _queue_up(self, job: Job) -> None:
        message, is_exempt = job.message, self._is_backlog
        if message is None:
            self._queue_up_command(job)
            return
        if not (is_exempt or self._intake.was_answered(message) or self._rate_limiter.allows(message.key)):
            self._reject(job, message, TOO_FAST)
        elif not self._queue.put(job.queue, job, always=is_exempt, group=job.scope):
            self._reject(job, message, OVERLOADED)

    def _queue_up_command(self, job: Job) -> None:
        """Whoever asks for a history to be deleted is not told whether it is, so it always is; a template, which the
        store keeps, counts for the rate of its session."""
        is_template = job.command is not None and job.command.kind == "template"
        if is_template and not (self._is_backlog or self._rate_limiter.allows(f"template {job.lane}")):
            self._ignore(job, "templates are set too fast")
        else:
            self._queue.put(job.queue, job, always=True, group=job.scope, is_barrier=job.is_for_all)

    @property
    def _is_backlog(self) -> bool:
        """Whether incoming messages were sent while the bridge was not running, or not connected.

        They arrive all at once, which is not the client's doing, so neither the rate limit nor the queue limit applies.
        The bridge's Receive Maximum bounds how many of them are in flight.
        """
        return not self._connection.synced.is_set()

    def _reject(self, job: Job, message: UserMessage, text: str) -> None:
        if self._stopped.is_set() or self._queue.is_stopped:
            return  # the broker will redeliver it
        self.counts["rejected"] += 1
        logger.warning("rejected a message of session %s: %s", message.key, text)
        self._intake.forget(message)
        is_crowded = len(self._queue) > 2 * self._settings.queue
        if self._group is None and (is_crowded or not job.requested_topic):
            self._publisher.send(job, text, lambda: self._acknowledge(job))
            return
        job.rejection = text  # by the bridge that gets the right to answer it, and knows from the store on which topic
        if is_crowded or not self._queue.put(job.queue, job, always=True):
            self._acknowledge(job)

    # ---- processing, on the worker threads

    def _process(self, job: Job) -> float | None:
        """Process a job. Returns after how many seconds it is to be tried again; None when it is done."""
        if job.message is not None and job.packet.has_expired:  # while it waited here
            self._intake.forget(job.message)
            self._ignore(job, "its Message Expiry Interval has passed")
            return None
        try:
            if self._group is not None:
                return self._process_shared(job, self._group)
            self._answer_job(job)
        except BaseException as error:  # noqa: BLE001 - the error is reported to the client
            if isinstance(error, SessionError) and (self._group is not None or job.command is not None):
                logger.warning("can't use the session store: %s", error)
                return OFFLINE_SECONDS  # nobody is told of a command that fails
            self.counts["errors"] += 1
            logger.error("failed to answer a message: %s", type(error).__name__)  # its text may quote the message
            messages.debug("failed", exc_info=True)
            if job.message is None:
                self._acknowledge(job)
                return None
            self._intake.forget(job.message)
            self._publisher.send(job, f"Error: {type(error).__name__}", lambda: self._acknowledge(job))
        return None

    def _process_shared(self, job: Job, group: Group) -> float | None:
        """Process a job if this bridge gets the right to do so before another one of the group has done it."""
        if job.is_answered:
            self._acknowledge(job)
            return None
        if not job.has_hesitated:
            job.has_hesitated = True
            if pause := group.hesitation():
                return pause
        with group.claim(job) as is_granted:
            return self._process_claimed(job, group) if is_granted else job.refused()

    def _process_claimed(self, job: Job, group: Group) -> float | None:
        if not self._connection.sync(SYNC_SECONDS):
            return OFFLINE_SECONDS
        if not job.is_answered and group.name(job):  # a bridge was killed that may have sent the answer
            self._stopped.wait(IN_FLIGHT_SECONDS)
            if not self._connection.sync(SYNC_SECONDS):
                return OFFLINE_SECONDS
        if job.is_answered:
            self._acknowledge(job)
        else:
            self._answer_job(job)
        return None

    def _answer_job(self, job: Job) -> None:
        self._intake.settle(job)
        if job.command is not None:
            self._command(job.command)
            self._note_done(job)
            self._acknowledge(job)
        elif job.message is not None and job.rejection:
            if self._deliver(job, self._delivery(job), job.rejection):
                self._acknowledge(job)
        elif job.message is not None:
            self._serve(job, job.message)

    def _serve(self, job: Job, message: UserMessage) -> None:
        if message.is_new_session and job.packet.is_duplicate and self._group is None:
            message = job.message = self._responder.began(message)
        if self._was_accepted(job, message):
            self._acknowledge(job)
            return
        delivery = self._delivery(job)
        response = self._answer(job, message, delivery)
        if response is None:
            self._acknowledge(job)
            return
        if response.is_error:
            self._intake.forget(message)  # the client may send it again: what was done of it is kept
        record = None if response.is_error else functools.partial(self._responder.note_delivered, message)
        if not self._deliver(job, delivery, response.text, record):
            return
        self._acknowledge(job)
        self.counts["errors" if response.is_error else "processed"] += 1
        self._total_latency += time.monotonic() - job.arrived

    def _delivery(self, job: Job) -> Delivery:
        def send(text: str, then: Callable[[], object]) -> None:
            self._echoes.expect(job.echo_id)
            self._publisher.send(job, text, then)

        return Delivery(send, self._stopped)

    def _deliver(self, job: Job, delivery: Delivery, text: str, record: Callable[[], object] | None = None) -> bool:
        """Publish the answer to a job, if that is not done, and wait until the broker has it. record: records the
        message as answered. Returns False when the bridge is stopped before that."""
        is_complete = False
        try:
            is_complete = delivery.complete(text, record)
        finally:
            if not is_complete:
                self._echoes.end(job.echo_id)
        if is_complete and job.message is not None and not self._publisher.has_echo(job.message):
            self._note_done(job)
        return is_complete

    def _note_done(self, job: Job) -> None:
        """Tell the group of what has no echo."""
        if self._group is not None:
            self._group.note_done(job, self._stopped)

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
        self._connection.acknowledge(self._accepted.pop(job.echo_id))
        return True

    def _answer(self, job: Job, message: UserMessage, delivery: Delivery) -> Response | None:
        if job.state is not None:
            return self._responder.hint(message, job.state, delivery.begin)
        on_frame = self._publisher.of_frames(message) if message.stream else None
        return self._responder.answer(message, on_frame, delivery.begin)

    def _command(self, command: Command) -> None:
        self._responder.obey(command)
        self._publisher.tell(command)

    def _acknowledge(self, job: Job) -> None:
        if self._group is not None:
            self._group.close(job)
            if job.message is not None:  # whether it was answered before is known to the store
                self._intake.forget(job.message)
        elif job.message is not None:
            self._intake.note_answered(job.message)
        self._close(job)
        # Its echoes behind it: a bridge that is killed between the two gets the echo again, and not the message alone,
        # which would be another one to it where it has no requestId.
        for echo in (job.echo, self._echoes.end(job.echo_id)):
            if echo is not None:
                self._connection.acknowledge(echo)

    def _close(self, job: Job) -> None:
        self._intake.packets.close(job, is_current=self._connection.is_current(job.packet))
        self._connection.acknowledge(job.packet)
