"""Tells the log once that something does not work, and not for each request that meets it."""

import logging
import threading
import time

logger = logging.getLogger("agentkit")

REMINDER_SECONDS = 300.0
"""Seconds after which an outage that goes on is logged again."""


class Outage:
    """An outage of `what`, which parts of the service notice independently. Thread-safe."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._logged: float | None = None
        self._lock = threading.Lock()

    def note(self, consequence: str) -> None:
        """Note that it does not work. consequence: what that means, and the reason."""
        now = time.monotonic()
        with self._lock:
            is_known = self._logged is not None and now - self._logged < REMINDER_SECONDS
            if not is_known:
                self._logged = now
        if not is_known:
            logger.warning("%s can't be used; %s", self._what, consequence)

    def end(self) -> None:
        """Note that it works."""
        if self._logged is not None:
            with self._lock:
                self._logged = None
            logger.info("%s can be used again", self._what)


STORE_OUTAGE = Outage("the session store")
"""That of the store of this process, in which a Redis server counts requests as well."""

KEYS_OUTAGE = Outage("the key file")
"""That of the API keys of the HTTP service."""
