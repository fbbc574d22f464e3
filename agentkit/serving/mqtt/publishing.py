"""What the bridge publishes: answers, the frames of streams, and notices of commands."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from agentkit.serving.mqtt.broker import BrokerConnection
from agentkit.serving.mqtt.intake import Job
from agentkit.serving.mqtt.payloads import Command, UserMessage, topic_level
from agentkit.serving.mqtt.sender import TOO_LARGE

logger = logging.getLogger("agentkit.mqtt")
messages = logging.getLogger("agentkit.mqtt.messages")

NOTICES = {"template": "Template updated", "clear": "History cleared"}


class Publisher:
    """Publishes for a bridge. answer_prefixes: of the topics whose messages all bridges see (echoes)."""

    def __init__(self, connection: BrokerConnection, answer_prefixes: tuple[str, ...]) -> None:
        self._connection = connection
        self._answer_prefixes = answer_prefixes

    def send(self, job: Job, text: str, then: Callable[[], object]) -> None:
        """Publish the answer to a message. then: called when the broker has it."""
        assert job.message is not None
        payload = _payload(job, text)
        messages.debug("out %s %r", job.message.reply_topic, payload)
        too_large = _payload(job, TOO_LARGE)
        options: Any = {"echo_id": job.echo_id, "correlation": job.packet.correlation, "then": then}
        options["too_large"] = too_large
        publish, topic, default = self._connection.sender.publish, job.message.reply_topic, job.message.default_topic

        def use_default() -> None:
            logger.warning("the broker does not allow the bridge to answer on the response topic of a message")
            publish(default, payload, **options)

        refused = None if topic == default else use_default
        publish(topic, payload, **options, refused=refused, tells_refusal=not self.has_echo(job.message))

    def has_echo(self, message: UserMessage) -> bool:
        """Whether the bridges see the answer to a message: not on a topic that only its client knows."""
        return message.reply_topic.startswith(self._answer_prefixes)

    def of_frames(self, message: UserMessage) -> Callable[[Mapping[str, Any]], object]:
        """What publishes the frames of the answer to a message."""
        topic = f"{message.project.answers}/{topic_level(message.session)}/stream"

        def publish_frame(frame: Mapping[str, Any]) -> None:
            rest = {name: value for name, value in frame.items() if name != "content"}
            # Each has a delta, which clients of text add up. json.dumps escapes to ASCII: it may be half a surrogate.
            payload = json.dumps({"delta": frame.get("content", ""), "requestId": message.request_id, **rest})
            self._connection.sender.publish_unconfirmed(topic, payload)

        return publish_frame

    def tell(self, command: Command) -> None:
        """Tell the client of a session that a command was carried out."""
        project, session = command.project, command.session
        if command.kind in NOTICES and session is not None and project.hints:
            hint = json.dumps({"hint": NOTICES[command.kind]})
            self._connection.sender.publish(f"{project.hints}/{topic_level(session)}", hint)


def _payload(job: Job, text: str) -> str:
    """A text as the answer to a message; to a state of the maze it is a hint."""
    return json.dumps({"hint": text}) if job.state is not None and not text.startswith("{") else text
