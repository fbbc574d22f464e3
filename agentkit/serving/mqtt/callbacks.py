"""Callbacks for paho, in which an exception ends the thread that connects again after a loss."""

import functools
import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("agentkit.mqtt")


def guarded(callback: Callable[..., Any]) -> Callable[..., None]:
    """A callback that logs what goes wrong in it; it raises ConnectionAbortedError, which stops an attempt to connect,
    only."""

    @functools.wraps(callback)
    def called(*arguments: Any) -> None:
        try:
            callback(*arguments)
        except ConnectionAbortedError:
            raise
        except Exception as error:  # noqa: BLE001 - paho would end its thread
            logger.error("an error in %s: %s", callback.__name__, type(error).__name__)  # its text may quote a message

    return called
