"""The bridge itself: from the broker to the answerer, and back.

A message is acknowledged to the broker when the broker has its answer, so that one that was taken by a bridge which was
killed comes again. What comes twice (the same requestId) is answered once.
"""

import json
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from agentkit.doors.mqtt.answering import Answerer, process_user_input_with_llm
from agentkit.doors.mqtt.connecting import secure
from agentkit.doors.mqtt.lanes import Lanes
from agentkit.doors.mqtt.projects import Project
from agentkit.doors.mqtt.wire import (
    BadPayloadError,
    Command,
    UserMessage,
    read_command,
    read_state,
    read_user_message,
    session_key,
    topic_level,
)

logger = logging.getLogger("agentkit.mqtt")

messages = logging.getLogger("agentkit.mqtt.messages")
messages.propagate = False
messages.setLevel(logging.CRITICAL)
"""What is said in full: nowhere, unless a file is given for it."""

OVERLOADED = "Server is overloaded. Please try again in a moment."
TOO_FAST = "Error: Rate limit exceeded. Please slow down your requests."
COMMANDS = {"template": "template", "clear_history": "clear", "delete_session": "delete"}
MOST_REMEMBERED = 20_000
MOST_EARLY = 1000
SESSION_EXPIRY = 7 * 24 * 3600
"""Seconds for which the broker keeps messages for a bridge that is away."""


@dataclass(frozen=True)
class BridgeSettings:
    """Where the broker is, and what the bridge bears.

    client_id: fixed, so that the broker keeps what comes while the bridge is away. group: of shared subscriptions, so
    that several bridges share the load. queue: messages that wait at most. rate: messages of a session in a minute.
    stop_seconds: for what runs when the bridge is stopped. most_sessions, idle_seconds: what is kept of histories.
    protocol: "5", which falls back to 3.1.1 where the broker does not know it, or "3.1.1".
    """

    broker: str = "localhost"
    port: int = 1883
    username: str | None = None
    password: str | None = None
    client_id: str = "agentkit-bridge"
    tls: bool = False
    ca_file: Path | None = None
    group: str | None = None
    workers: int = 12
    queue: int = 1000
    rate: int = 20
    stop_seconds: float = 30.0
    keepalive: int = 60
    most_sessions: int = 100
    idle_seconds: float = 3600.0
    protocol: str = "5"


@dataclass
class _Job:
    """A message of the broker on its way. state: of the maze, when it is one. is_settled: nothing is to be noted once
    the broker has what is sent for it."""

    mid: int
    qos: int
    message: UserMessage | None = None
    state: dict[str, Any] | None = None
    command: Command | None = None
    correlation: bytes | None = None
    is_settled: bool = False
    is_delivered: threading.Event = field(default_factory=threading.Event)


class Bridge:
    """Serves projects between a broker and an answerer. Raises ConfigurationError where TLS can't be set up."""

    def __init__(self, projects: tuple[Project, ...], answerer: Answerer, settings: BridgeSettings) -> None:
        self._projects = projects
        self._answerer = answerer
        self._settings = settings
        self._routes = dict(self._listened())
        self._lanes: Lanes[_Job] = Lanes(settings.workers, settings.queue, self._do)
        self._lock = threading.Lock()
        self._unconfirmed: dict[int, _Job] = {}
        self._early: OrderedDict[int, bool] = OrderedDict()
        self._seen: OrderedDict[tuple[str, str], bool] = OrderedDict()
        self._times: dict[str, deque[float]] = {}
        self._stopped = threading.Event()
        self.is_connected = threading.Event()
        self.refused: str | None = None
        self.counts = {"processed": 0, "errors": 0, "rejected": 0}
        is_new = settings.protocol == "5"
        self._client = self._made(MQTTProtocolVersion.MQTTv5 if is_new else MQTTProtocolVersion.MQTTv311)

    def _made(self, protocol: MQTTProtocolVersion) -> mqtt.Client:
        settings = self._settings
        options: dict[str, Any] = {} if protocol == MQTTProtocolVersion.MQTTv5 else {"clean_session": False}
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, settings.client_id, protocol=protocol, manual_ack=True, **options
        )
        secure(client, settings.username, settings.password, settings.tls, settings.ca_file)
        client.will_set(self.status_topic, "offline", qos=1, retain=True)
        client.reconnect_delay_set(1, 120)
        client.max_inflight_messages_set(100)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        return client

    @property
    def status_topic(self) -> str:
        """Where it is told whether the bridge is there: "online", "offline"; retained."""
        return f"agentkit/bridge/{topic_level(self._settings.client_id)}/status"

    def start(self, seconds: float = 10.0) -> None:
        """Connect, and serve in threads of its own. Raises OSError when the broker can't be reached, or refuses."""
        self._connect()
        end = time.monotonic() + seconds
        while not self.is_connected.wait(0.02):
            if (
                self.refused
                and "protocol" in self.refused.lower()
                and self._client.protocol == MQTTProtocolVersion.MQTTv5
            ):
                logger.info("the broker does not know MQTT 5: 3.1.1 is spoken")
                self.refused = None
                self._client.loop_stop()
                self._client = self._made(MQTTProtocolVersion.MQTTv311)
                self._connect()
            elif self.refused or time.monotonic() > end:
                self._client.loop_stop()
                raise ConnectionRefusedError(self.refused or "the broker does not answer")
        threading.Thread(target=self._look_after, name="agentkit-bridge", daemon=True).start()

    def _connect(self) -> None:
        settings = self._settings
        options: dict[str, Any] = {}
        if self._client.protocol == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION_EXPIRY
            options = {"clean_start": False, "properties": properties}
        self._client.connect(settings.broker, settings.port, settings.keepalive, **options)
        self._client.loop_start()

    def _look_after(self) -> None:
        """Tell how it goes each minute, and drop histories that are idle or too many."""
        minutes = 0
        while not self._stopped.wait(60):
            minutes += 1
            logger.info(
                "%s, %d waiting", ", ".join(f"{count} {name}" for name, count in self.counts.items()), len(self._lanes)
            )
            if self._lanes.filling > 0.7:
                logger.warning("the queue is %d %% full", self._lanes.filling * 100)
            if minutes % 5 == 0:
                self.tidy()

    def tidy(self) -> None:
        """Drop histories that are idle, and the oldest of those that are too many."""
        for project in self._projects:
            self._answerer.tidy(project, self._settings.most_sessions, self._settings.idle_seconds)

    def stop(self) -> None:
        """Take nothing more, finish what runs, and leave; what was not answered comes again from the broker."""
        left = self._lanes.stop(self._settings.stop_seconds)
        end = time.monotonic() + 5
        while self._unconfirmed and time.monotonic() < end:
            time.sleep(0.02)
        if left:
            logger.info("%d messages are handed back to the broker", len(left))
        self._client.publish(self.status_topic, "offline", qos=1, retain=True).wait_for_publish(2)
        self._client.disconnect()
        self._client.loop_stop()
        self._stopped.set()

    def _listened(self) -> "list[tuple[str, tuple[Project, str]]]":
        """The topics that are listened to, and what they are for; "+" stands for a session."""
        found = []
        for project in self._projects:
            found.append((project.user_input, (project, "user")))
            if project.state:
                found.append((project.state, (project, "state")))
            if project.hints:
                for name, kind in COMMANDS.items():
                    found += [
                        (f"{project.name}/{name}", (project, kind)),
                        (f"{project.name}/{name}/+", (project, kind)),
                    ]
        return found

    # ---- what the client tells, in its own thread

    def _on_connect(self, client: mqtt.Client, _: Any, flags: Any, reason: Any, __: Any) -> None:
        if reason.is_failure:
            self.refused = str(reason)
            logger.error("the broker refuses the connection: %s", reason)
            return
        shared = f"$share/{self._settings.group}/" if self._settings.group else ""
        is_new = client.protocol == MQTTProtocolVersion.MQTTv5
        topics = [shared + topic for topic in self._routes]
        if is_new:
            client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in topics])
        else:
            client.subscribe([(topic, 1) for topic in topics])
        client.publish(self.status_topic, "online", qos=1, retain=True)
        self.is_connected.set()
        logger.info("connected to the broker, %d projects", len(self._projects))

    def _on_disconnect(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        self.is_connected.clear()
        if not self._stopped.is_set():
            logger.warning("the connection to the broker is gone: %s", reason)

    def _on_message(self, _: mqtt.Client, __: Any, incoming: mqtt.MQTTMessage) -> None:
        job = _Job(incoming.mid, incoming.qos)
        messages.debug("in  %r %r", incoming.topic, incoming.payload)
        try:
            self._take(job, incoming)
        except BadPayloadError as error:
            logger.warning("a message on %.200r is left out: %s", incoming.topic, error)
            self._acknowledge(job)
        except Exception:
            logger.exception("a message on %.200r is left out", incoming.topic)
            self._acknowledge(job)

    def _take(self, job: _Job, incoming: mqtt.MQTTMessage) -> None:
        project, kind, level = self._route(incoming.topic)
        payload = bytes(incoming.payload)
        if kind not in ("user", "state"):
            job.command = read_command(project, kind, level, payload)
            if not self._lanes.put(f"{project.name}:*", job):
                self._acknowledge(job)
            return
        properties = getattr(incoming, "properties", None)
        job.correlation = getattr(properties, "CorrelationData", None)
        if kind == "state":
            job.message, job.state = read_state(project, payload)
        else:
            job.message = read_user_message(project, payload, getattr(properties, "ResponseTopic", None))
        if job.message is None:
            logger.info("a blank message of project %s is left out", project.name)
            self._acknowledge(job)
        elif self._is_known(job.message):
            self._acknowledge(job)
        elif not self._is_in_time(job.message):
            self._reject(job, TOO_FAST)
        elif not self._lanes.put(job.message.key, job):
            self._reject(job, OVERLOADED)

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
        key = (message.key, message.request_id)
        with self._lock:
            if key in self._seen:
                return True
            self._seen[key] = True
            if len(self._seen) > MOST_REMEMBERED:
                self._seen.popitem(last=False)
        return False

    def _is_in_time(self, message: UserMessage) -> bool:
        """Whether a session keeps to the rate."""
        now = time.monotonic()
        times = self._times.setdefault(message.key, deque())
        while times and now - times[0] > 60:
            times.popleft()
        if len(times) >= self._settings.rate:
            return False
        times.append(now)
        return True

    def _reject(self, job: _Job, text: str) -> None:
        self.counts["rejected"] += 1
        self._publish(job, text)

    # ---- the work, in the lanes

    def _do(self, job: _Job) -> None:
        try:
            if job.command is not None:
                self._command(job.command)
                self._acknowledge(job)
                return
            assert job.message is not None
            if job.message.request_id and self._answerer.was_answered(job.message):
                self._acknowledge(job)
                return
            self._deliver(job, self._answer(job, job.message))
            self.counts["processed"] += 1
        except Exception as error:
            self.counts["errors"] += 1
            logger.exception("a message got no answer")
            self._publish(job, f"Error: {type(error).__name__}")

    def _answer(self, job: _Job, message: UserMessage) -> str:
        if job.state is not None:
            return json.dumps(self._answerer.hint(message, job.state), ensure_ascii=False)
        return process_user_input_with_llm(self._answerer, message, self._teller(message) if message.stream else None)

    def _teller(self, message: UserMessage) -> Callable[[str], object]:
        topic = f"{message.project.answers}/{topic_level(message.session)}/stream"

        def tell(text: str) -> None:
            told = {"delta": text, "requestId": message.request_id}
            self._client.publish(topic, json.dumps(told, ensure_ascii=False), qos=0)

        return tell

    def _command(self, command: Command) -> None:
        project, session = command.project, command.session
        keys = self._answerer.sessions_of(project) if session is None else [session_key(project, session)]
        if command.kind == "template":
            self._answerer.templates.set(project, session, command.template)
        if command.kind != "template" or command.reset:
            self._answerer.forget(keys)
        notice = {"template": "Template updated", "clear": "History cleared"}.get(command.kind)
        if notice and session is not None and project.hints:
            self._client.publish(f"{project.hints}/{topic_level(session)}", json.dumps({"hint": notice}), qos=1)

    def _deliver(self, job: _Job, text: str) -> None:
        """Send an answer; when the broker has it, note that, and give the message back as done. In this order, so that
        a bridge which is killed in between sends the same answer twice rather than none."""
        assert job.message is not None
        self._send(job, text)
        while not self._stopped.is_set():
            if job.is_delivered.wait(0.5):
                self._answerer.note_answered(job.message)
                self._acknowledge(job)
                return

    def _publish(self, job: _Job, text: str) -> None:
        """Send a text in the place of an answer; the message is given back as done when the broker has it."""
        job.is_settled = True
        self._send(job, text)

    def _send(self, job: _Job, text: str) -> None:
        assert job.message is not None
        properties = None
        if job.correlation is not None and self._client.protocol == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.CorrelationData = job.correlation
        payload = json.dumps({"hint": text}) if job.state is not None and not text.startswith("{") else text
        messages.debug("out %r %r", job.message.reply_topic, payload)
        # Not under the lock: the client calls on_publish under one of its own, which publish() takes too.
        told = self._client.publish(job.message.reply_topic, payload, qos=1, properties=properties)
        with self._lock:
            is_delivered = self._early.pop(told.mid, False)
            if not is_delivered:
                self._unconfirmed[told.mid] = job
        if is_delivered:
            self._delivered(job)

    def _delivered(self, job: _Job) -> None:
        """The broker has what was sent for a message."""
        job.is_delivered.set()
        if job.is_settled:
            self._acknowledge(job)

    def _on_publish(self, _: mqtt.Client, __: Any, mid: int, ___: Any, ____: Any) -> None:
        with self._lock:
            job = self._unconfirmed.pop(mid, None)
            if job is None:  # the broker was quicker than publish() in telling the number; or it is no answer
                self._early[mid] = True
                if len(self._early) > MOST_EARLY:
                    self._early.popitem(last=False)
        if job is not None:
            self._delivered(job)

    def _acknowledge(self, job: _Job) -> None:
        self._client.ack(job.mid, job.qos)
