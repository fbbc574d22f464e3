"""Runs the bridge inside another service's process; retries while the broker is unavailable or the client id in use."""

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

RETRY_SECONDS = 5.0
"""Delay between two attempts, in seconds."""


def serve_embedded(
    projects: tuple[Project, ...], service: ChatService, settings: BridgeSettings, folder: Path
) -> Callable[[], None]:
    """Start serving projects in background threads, and return a function that stops that.

    folder: directory of the lock files of client ids. Of several worker processes with the same client id one serves;
    when it ends, another one takes over.
    """
    stopped = threading.Event()
    address = f"{settings.broker}:{settings.port}"

    def serve() -> None:
        while not stopped.is_set():
            try:
                with held_client_id(settings.client_id, address, in_group=False, folder=folder) as name:
                    bridge = Bridge(projects, service, replace(settings, client_id=name))
                    bridge.start()
                    stopped.wait()
                    bridge.stop()
            except ConfigurationError as error:
                logger.info("this process does not serve MQTT: %s", error)
            except OSError as error:
                logger.warning("can't use the broker %s, retrying: %s", address, error)
            stopped.wait(RETRY_SECONDS)

    thread = threading.Thread(target=serve, name="agentkit-mqtt", daemon=True)
    thread.start()

    def stop() -> None:
        stopped.set()
        thread.join(settings.stop_seconds + 10)

    return stop
