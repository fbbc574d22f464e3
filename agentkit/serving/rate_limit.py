"""Rate limiting per minute."""

import math
import secrets
import threading
import time
from collections import deque
from typing import Protocol

from agentkit._forking import freed_by_forks
from agentkit.serving.outage import STORE_OUTAGE
from agentkit.sessions.redis_client import RedisClient
from agentkit.sessions.redis_url import is_redis_url, parse_redis_url

WINDOW = 60.0
"""Seconds."""

RETRY_SECONDS = 2.0
"""Seconds without a request to a Redis server that has just failed."""

# KEYS: the times of a name's requests. ARGV: limit, window in ms, a name for this request or "".
# Returns the ms until a request is allowed; 0: now, and it was counted if it has a name. The clock is Redis's own,
# which all share; times in the future were written before it was set back.
TAKE = """
redis.replicate_commands()
local time = redis.call('TIME')
local now, limit, window = time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[1]), tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')
local count = redis.call('ZCARD', KEYS[1])
if count >= limit then
  local oldest = redis.call('ZRANGE', KEYS[1], count - limit, count - limit, 'WITHSCORES')
  return math.max(1, (tonumber(oldest[2]) or now) + window - now)
end
if ARGV[3] ~= '' then
  redis.call('ZADD', KEYS[1], now, ARGV[3])
  redis.call('PEXPIRE', KEYS[1], window)
end
return 0
"""


class _Counter(Protocol):
    def take(self, name: str, is_request: bool) -> float:
        """The seconds until a request of a name is allowed; 0: now, and it is counted if it is one."""


class _Memory:
    """Counts with a clock that nobody sets."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._times: dict[str, deque[float]] = {}
        self._guard = freed_by_forks(threading.Lock())
        self._checks = 0

    def take(self, name: str, is_request: bool) -> float:
        now = time.monotonic()
        with self._guard:
            self._checks += 1
            if self._checks % 1000 == 0:
                self._times = {each: times for each, times in self._times.items() if times[-1] > now - WINDOW}
            times = self._times.get(name) or deque(maxlen=max(1, self._limit))
            if self._limit < 1:
                return WINDOW
            if len(times) == self._limit and times[0] > now - WINDOW:
                return times[0] + WINDOW - now
            if is_request:
                times.append(now)
                self._times[name] = times
            return 0.0


class _Redis:
    """Counts in a Redis server."""

    def __init__(self, limit: int, url: str) -> None:
        address = parse_redis_url(url)
        self._limit = limit
        self._prefix = f"{address.prefix or 'agentkit:'}rate:"
        self._client = RedisClient(address)

    def take(self, name: str, is_request: bool) -> float:
        request = secrets.token_hex(8) if is_request else ""
        waiting = self._client.run(TAKE, [f"{self._prefix}{name}"], [self._limit, int(WINDOW * 1000), request])
        return float(waiting) / 1000


class RateLimiter:
    """Limits requests per minute and name, counted in memory, or in a Redis server for all processes that share it.

    per_minute: maximum number of requests. where: storage URL, "memory://" or that of a Redis server. While the Redis
    server is unreachable, every request is allowed; it is tried again after RETRY_SECONDS. A clock that is set back has
    no effect.
    """

    def __init__(self, per_minute: int, where: str = "memory://") -> None:
        self.is_remote = is_redis_url(where)
        self._counter: _Counter = _Redis(per_minute, where) if self.is_remote else _Memory(per_minute)
        self._next_try = float("-inf")

    def wait(self, name: str) -> int:
        """Return the seconds until the next request is allowed, at least 1."""
        return max(1, math.ceil(self._take(name, is_request=False)))

    def allows(self, name: str) -> bool:
        """Return whether a request is within the limit; it is counted only if so."""
        return self._take(name, is_request=True) == 0

    def _take(self, name: str, is_request: bool) -> float:
        if time.monotonic() < self._next_try:
            return 0.0
        try:
            taken = self._counter.take(name, is_request)
        except Exception as error:  # noqa: BLE001 - any error of the server
            self._next_try = time.monotonic() + RETRY_SECONDS
            STORE_OUTAGE.note(f"requests are not counted: {type(error).__name__}: {error}")
            return 0.0
        if self.is_remote:
            STORE_OUTAGE.end()
        return taken


def rate_limit_storage(where: str) -> str:
    """Return the storage URL of rate limits for a session store: its Redis server, which is shared; else memory."""
    return where if is_redis_url(where) else "memory://"
