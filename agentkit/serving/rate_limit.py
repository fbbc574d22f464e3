"""Rate limiting per minute."""

import logging
import math
import time
from typing import Any

logger = logging.getLogger("agentkit")


class RateLimiter:
    """Limits requests per minute and name, counted in memory, or in a Redis server for all processes that share it.

    per_minute: maximum number of requests. where: storage URL. Raises ImportError without the limits package. While the
    Redis server is unreachable, every request is allowed.
    """

    def __init__(self, per_minute: int, where: str = "memory://") -> None:
        from limits import RateLimitItemPerMinute
        from limits.storage import storage_from_string
        from limits.strategies import MovingWindowRateLimiter

        self.is_remote = not where.startswith("memory:")
        self._limit = RateLimitItemPerMinute(per_minute)
        self._storage: Any = storage_from_string(where)
        self._strategy = MovingWindowRateLimiter(self._storage)
        self._checks = 0

    def wait(self, name: str) -> int:
        """Return the seconds until the next request is allowed, at least 1."""
        try:
            return max(1, math.ceil(self._strategy.get_window_stats(self._limit, name).reset_time - time.time()))
        except Exception:  # noqa: BLE001 - any error of the storage
            return 1

    def allows(self, name: str) -> bool:
        """Return whether a request is within the limit; it is counted only if so."""
        self._checks += 1
        if not self.is_remote and self._checks % 1000 == 0:
            self._purge()
        try:
            return self._strategy.hit(self._limit, name)
        except Exception:
            logger.warning("rate limit storage failed; the request is allowed", exc_info=True)
            return True

    def _purge(self) -> None:
        """Remove idle names: the in-memory storage of limits keeps an empty list for each."""
        for name, events in list(self._storage.events.items()):
            if not events:
                self._storage.events.pop(name, None)


def rate_limit_storage(where: str) -> str:
    """Return the storage URL of rate limits for a session store: its Redis server, which is shared; else memory."""
    return where if where.startswith(("redis://", "rediss://")) else "memory://"  # limits has no unix://
