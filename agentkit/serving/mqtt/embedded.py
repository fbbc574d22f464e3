"""The bridge beside another service in one process: it waits for a broker that is not there, and for its name."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from agentkit import ConfigurationError
from agentkit.serving.chat_service import ChatService
from agentkit.serving.mqtt.bridge import Bridge, BridgeSettings
from agentkit.serving.mqtt.client_id import held_client_id
from agentkit.serving.mqtt.projects import Project

logger = logging.getLogger("agentkit.mqtt")

WAIT = 5.0
"""Seconds between two attempts."""


def serve_embedded(
    projects: tuple[Project, ...], answerer: ChatService, settings: BridgeSettings, folder: Path
) -> Callable[[], None]:
    """Serve projects in threads; gives what ends that. folder: of the locks of names. Of several workers that share a
    name one serves, and when it ends the next."""
    stopped = threading.Event()
    place = f"{settings.broker}:{settings.port}"

    def serve() -> None:
        while not stopped.is_set():
            try:
                with held_client_id(settings.client_id, place, in_group=False, folder=folder) as name:
                    bridge = Bridge(projects, answerer, replace(settings, client_id=name))
                    bridge.start()
                    stopped.wait()
                    bridge.stop()
            except ConfigurationError as error:
                logger.info("MQTT is not served here: %s", error)
            except OSError as error:
                logger.warning("the broker %s can't be used, which is tried again: %s", place, error)
            stopped.wait(WAIT)

    thread = threading.Thread(target=serve, name="agentkit-mqtt", daemon=True)
    thread.start()

    def stop() -> None:
        stopped.set()
        thread.join(settings.stop_seconds + 10)

    return stop
