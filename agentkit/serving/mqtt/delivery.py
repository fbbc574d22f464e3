"""Answers on their way to the broker, and the record that their clients have them."""

import logging
import threading
from collections.abc import Callable

from agentkit.serving.mqtt.broker import Packet

logger = logging.getLogger("agentkit.mqtt")

LOCKED_SECONDS = 1.0
"""How long a session stays locked until the broker has confirmed its answer, in seconds; else it is recorded later."""


class Echoes:
    """The echoes of answers that are on their way. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, Packet | None] = {}

    def expect(self, echo_id: str) -> None:
        """An answer is about to be sent."""
        with self._lock:
            self._kept[echo_id] = None

    def keep(self, echo: Packet) -> bool:
        """Keep an echo, which is not acknowledged before its request is recorded as answered. Returns whether it is
        kept."""
        with self._lock:
            is_kept = echo.qos > 0 and echo.echo_id in self._kept
            if is_kept and echo.echo_id is not None:
                self._kept[echo.echo_id] = echo
            return is_kept

    def end(self, echo_id: str) -> Packet | None:
        """The answer is recorded, or is not sent any more. Returns the echo that was kept."""
        with self._lock:
            return self._kept.pop(echo_id, None)


class Delivery:
    """An answer on its way. send: publishes a text, and calls back when the broker has it. stopped: is set when nothing
    is confirmed any more."""

    def __init__(self, send: Callable[[str, Callable[[], object]], object], stopped: threading.Event) -> None:
        self._send = send
        self._stopped = stopped
        self._confirmed = threading.Event()
        self._is_sent = self._is_recorded = False

    def begin(self, text: str, record: Callable[[], object]) -> None:
        """Send an answer while its session is locked, and record it at once if the broker confirms it soon."""
        self._publish(text)
        if self._confirmed.wait(LOCKED_SECONDS):
            self._record(record)

    def complete(self, text: str, record: Callable[[], object] | None = None) -> bool:
        """Send the answer unless that is done, wait until the broker has it, and record it unless that is done. Returns
        False when the bridge is stopped before that."""
        if not self._is_sent:
            self._publish(text)
        while not self._confirmed.wait(0.5):
            if self._stopped.is_set():
                return False
        if record is not None and not self._is_recorded:
            self._record(record)
        return True

    def _publish(self, text: str) -> None:
        self._send(text, self._confirmed.set)
        self._is_sent = True

    def _record(self, record: Callable[[], object]) -> None:
        self._is_recorded = True
        try:
            record()
        except Exception as error:  # noqa: BLE001 - the client already has the answer
            logger.error("failed to record an answer: %s", type(error).__name__)
