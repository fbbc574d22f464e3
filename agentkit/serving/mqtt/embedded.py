"""Keeps a bridge running: starts it as soon as its broker can be reached, in this thread or beside another service."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from agentkit import ConfigurationError, SessionError
from agentkit.serving.chat_service import ChatService
from agentkit.serving.mqtt.bridge import Bridge
from agentkit.serving.mqtt.client_id import held_client_id
from agentkit.serving.mqtt.projects import Project
from agentkit.serving.mqtt.settings import BridgeSettings

logger = logging.getLogger("agentkit.mqtt")

RETRY_SECONDS = 5.0
"""Delay between two attempts to use a client id that another process uses, in seconds."""
SIGNAL_SECONDS = 0.5
"""How long the main thread waits at once, in seconds: Python runs the handler of a signal that arrives as a wait begins
only when that wait has ended."""
FIRST_PAUSE, LAST_PAUSE = 1.0, 60.0
"""Delays after the first and after later failures to reach a server, in seconds; they double."""


def keep_trying(
    what: str, attempt: Callable[[], object], errors: tuple[type[Exception], ...], stopped: threading.Event
) -> bool:
    """Call `attempt` until it does not raise, with growing pauses. what: what can't be used when it does, for the log.
    Returns False when `stopped` is set before that."""
    pause = FIRST_PAUSE
    while not stopped.is_set():
        try:
            attempt()
        except errors as error:
            logger.warning("%s can't be used, trying again in %g seconds: %s", what, pause, error)
            stopped.wait(pause)
            pause = min(2 * pause, LAST_PAUSE)
        else:
            return True
    return False


def serve_until(
    stopped: threading.Event,
    projects: tuple[Project, ...],
    service: ChatService,
    settings: BridgeSettings,
    *,
    on_start: Callable[[], object] = lambda: None,
    on_bridge: Callable[[Bridge], object] = lambda bridge: None,
    is_ready: threading.Event | None = None,
) -> None:
    """Serve projects until `stopped` is set; tries again and again while the broker, or the session store of a group,
    can't be reached.

    on_start, on_bridge: called when the bridge is connected. is_ready: messages wait until it is set; None: they are
    answered at once. Raises ConfigurationError as `Bridge.start` does.
    """
    bridges: list[Bridge] = []

    def start() -> None:
        bridge = Bridge(projects, service, settings)
        bridge.start(begins=False)
        bridges.append(bridge)

    what = f"the broker {settings.address}{settings.doubt}" + (", or the session store," if settings.group else "")
    if not keep_trying(what, start, (OSError, SessionError), stopped):
        return
    (bridge,) = bridges
    on_bridge(bridge)
    on_start()
    while is_ready is not None and not is_ready.wait(0.1):
        if stopped.is_set():
            break
    else:
        bridge.begin()
    while not stopped.wait(SIGNAL_SECONDS):
        pass
    bridge.stop()


class EmbeddedBridge:
    """Serves projects in background threads, from the beginning until `stop`.

    folder: directory of the lock files of client ids. Of several worker processes with the same client id one serves;
    when it ends, another one takes over.
    """

    def __init__(
        self, projects: tuple[Project, ...], service: ChatService, settings: BridgeSettings, folder: Path
    ) -> None:
        self._given = (projects, service)
        self._settings = settings
        self._folder = folder
        self._stopped = threading.Event()
        self._serves_here = True
        self._bridge: Bridge | None = None
        self._thread = threading.Thread(target=self._serve, name="agentkit-mqtt", daemon=True)
        self._thread.start()

    def problem(self) -> str | None:
        """Return why no messages are answered; None when they are, here or by another process."""
        if not self._serves_here:
            return None
        bridge = self._bridge
        if bridge is None:
            return "the broker has not been reached yet"
        return None if bridge.is_connected else "the broker can't be reached"

    def stop(self) -> None:
        """Finish the messages in progress, and disconnect."""
        self._stopped.set()
        self._thread.join(self._settings.stop_seconds + 10)

    def _serve(self) -> None:
        settings = self._settings
        while not self._stopped.is_set():
            try:
                with held_client_id(settings.client_id, settings.address, in_group=False, folder=self._folder) as name:
                    self._serves_here = True
                    own = replace(settings, client_id=name)
                    serve_until(self._stopped, *self._given, own, on_bridge=self._began)
            except ConfigurationError as error:
                self._serves_here = False
                logger.info("this process does not serve MQTT: %s", error)
            self._bridge = None
            self._stopped.wait(RETRY_SECONDS)

    def _began(self, bridge: Bridge) -> None:
        self._bridge = bridge
