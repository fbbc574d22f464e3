"""A file that says whether a bridge can answer, for the health checks of containers and init systems."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger("agentkit.mqtt")

SECONDS = 5.0
"""How often the file is written anew, in seconds."""


def keep_health_file(file: Path, is_healthy: Callable[[], bool], stopped: threading.Event) -> None:
    """Write a file anew every few seconds while `is_healthy`, and remove it otherwise, until `stopped` is set."""
    is_told = False
    while not stopped.is_set():
        try:
            if is_healthy():
                file.write_text("ok\n", encoding="ascii")  # not touch(): some network drives keep the time of that
            else:
                file.unlink(missing_ok=True)
            is_told = False
        except OSError as error:
            if not is_told:
                logger.warning("the health file %s can't be written: %s", file, error.strerror or error)
            is_told = True
        stopped.wait(SECONDS)
    with suppress(OSError):
        file.unlink(missing_ok=True)
