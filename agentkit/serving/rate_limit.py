"""How often somebody may come in a minute."""

import logging
import math
import time
from typing import Any

logger = logging.getLogger("agentkit")


class RateLimiter:
    """So many in a minute for each name, counted in memory, or in a Redis (its address) for all who share it.

    Raises ImportError without the limits package; a server that can't be asked keeps nobody out.
    """

    def __init__(self, per_minute: int, where: str = "memory://") -> None:
        from limits import RateLimitItemPerMinute
        from limits.storage import storage_from_string
        from limits.strategies import MovingWindowRateLimiter

        self.is_remote = not where.startswith("memory:")
        self._limit = RateLimitItemPerMinute(per_minute)
        self._storage: Any = storage_from_string(where)
        self._strategy = MovingWindowRateLimiter(self._storage)
        self._asked = 0

    def wait(self, name: str) -> int:
        """Seconds until one more is within the rate, at least 1."""
        try:
            return max(1, math.ceil(self._strategy.get_window_stats(self._limit, name).reset_time - time.time()))
        except Exception:  # noqa: BLE001 - of whatever store
            return 1

    def allows(self, name: str) -> bool:
        """Whether one more is within the rate; it is counted, if so."""
        self._asked += 1
        if not self.is_remote and self._asked % 1000 == 0:
            self._tidy()
        try:
            return self._strategy.hit(self._limit, name)
        except Exception:
            logger.warning("rates can't be counted", exc_info=True)
            return True

    def _tidy(self) -> None:
        """Forget names that have not come for a while: limits' memory keeps an empty list for each."""
        for name, events in list(self._storage.events.items()):
            if not events:
                self._storage.events.pop(name, None)
