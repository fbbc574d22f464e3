"""Sessions in Redis, shared by processes and machines.

A session is locked by a key that expires after LEASE seconds unless it is renewed, so that the lock of a killed writer
is freed. Each write carries the lock's token, and Redis itself rejects it when another writer has taken over. How much
of what Redis has acknowledged survives a crash of Redis depends on its configuration (appendfsync).
"""

import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agentkit.errors import ConfigurationError, MissingExtraError, SessionError
from agentkit.session import SessionInfo, Sessions, busy

if TYPE_CHECKING:
    import redis

LEASE = 10.0
"""Seconds after which a lock that is not renewed expires."""

POLL = 0.05

# KEYS: lock, entries, about, blobs, all.
# ARGV: token, id, now, entries before, count of entries, entries..., then digest and data of each image...
# A client that did not receive the answer sends the command again; then the entries exist already.
APPEND = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('LOSTLOCK') end
local before, count, have = tonumber(ARGV[4]), tonumber(ARGV[5]), redis.call('LLEN', KEYS[2])
if have == before + count then return have end
if have ~= before then return redis.error_reply('LOSTLOCK') end
for index = 6, 5 + count do redis.call('RPUSH', KEYS[2], ARGV[index]) end
for index = 6 + count, #ARGV, 2 do redis.call('HSETNX', KEYS[4], ARGV[index], ARGV[index + 1]) end
redis.call('HSETNX', KEYS[3], 'created', ARGV[3])
redis.call('HSET', KEYS[3], 'updated', ARGV[3])
redis.call('ZADD', KEYS[5], ARGV[3], ARGV[2])
return have + count
"""
RENEW = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


@dataclass
class _Lock:
    """The lock of a session. length: the number of its entries, once known."""

    token: str
    length: Any = None


class RedisSessions(Sessions):
    """Sessions in the Redis server at `url` ("redis://[user:password@]host:port/db", or "rediss://" for TLS).

    prefix: the prefix of all keys. wait: seconds that a writer waits for another to finish. lease: seconds after which
    the lock of a writer that was killed or lost its connection expires. Raises ConfigurationError for an invalid URL,
    MissingExtraError without the redis package, and on use SessionError when Redis can't be reached.
    """

    def __init__(
        self, url: str = "redis://localhost:6379/0", prefix: str = "agentkit:", wait: float = 30.0, lease: float = LEASE
    ) -> None:
        super().__init__(wait)
        try:
            import redis
            from redis.backoff import ExponentialBackoff
            from redis.retry import Retry
        except ImportError:
            raise MissingExtraError("sessions in Redis", "redis") from None
        try:
            self._redis: redis.Redis = redis.Redis.from_url(
                url, socket_timeout=5.0, socket_connect_timeout=5.0, retry=Retry(ExponentialBackoff(1.0, 0.1), 2)
            )
        except ValueError as error:
            raise ConfigurationError(f"{url.rpartition('@')[2]!r} is not a valid Redis URL: {error}") from None
        self._errors = (redis.RedisError, OSError)
        self._prefix = prefix
        self._lease = lease
        self._append_script = self._redis.register_script(APPEND)
        self._renew_script = self._redis.register_script(RENEW)
        self._release_script = self._redis.register_script(RELEASE)

    def __repr__(self) -> str:
        settings = self._redis.connection_pool.connection_kwargs
        return f"RedisSessions({settings.get('host')}:{settings.get('port')})"

    def close(self) -> None:
        """Close the connections; they are opened again when needed."""
        self._redis.close()

    def _key(self, session_id: str, what: str) -> str:
        return f"{self._prefix}session:{session_id}:{what}"

    @property
    def _all(self) -> str:
        return f"{self._prefix}sessions"

    @contextmanager
    def _connection(self) -> Iterator["redis.Redis"]:
        try:
            yield self._redis
        except self._errors as error:
            if "LOSTLOCK" in str(error):
                raise SessionError(
                    "another writer has taken over this session, since this one did not renew its lock for "
                    f"{self._lease:g} seconds: nothing was written"
                ) from None
            raise SessionError(f"{self!r} can't be used: {type(error).__name__}: {error}") from error

    def _append(self, session_id: str, entries: Sequence[str], blobs: Mapping[str, bytes], lock: Any) -> None:
        keys = [*(self._key(session_id, what) for what in ("lock", "entries", "about", "blobs")), self._all]
        images = [value for pair in blobs.items() for value in pair]
        with self._connection() as server:
            if lock.length is None:
                lock.length = server.llen(keys[1])
            counts = [lock.length, len(entries)]
            self._append_script(keys, [lock.token, session_id, time.time(), *counts, *entries, *images])
            lock.length += len(entries)

    def _read(self, session_id: str, start: int, count: int | None = None) -> Sequence[str]:
        with self._connection() as server:
            end = -1 if count is None else start + count - 1
            found: Any = server.lrange(self._key(session_id, "entries"), start, end)
            return [body.decode() for body in found]

    def _blob(self, session_id: str, digest: str) -> bytes | None:
        with self._connection() as server:
            found: Any = server.hget(self._key(session_id, "blobs"), digest)
            return found if found is None else bytes(found)

    def _list(self) -> Iterable[SessionInfo]:
        with self._connection() as server:
            listed: Any = server.zrange(self._all, 0, -1)
            ids = [each.decode() for each in listed]
            pipeline = server.pipeline(transaction=False)
            for session_id in ids:
                pipeline.hgetall(self._key(session_id, "about"))
                pipeline.llen(self._key(session_id, "entries"))
            replies = pipeline.execute()
        for index, session_id in enumerate(ids):
            about, count = replies[2 * index : 2 * index + 2]
            if count:
                yield SessionInfo(session_id, count, _time(about[b"created"]), _time(about[b"updated"]))

    def _delete(self, session_id: str) -> None:
        with self._connection() as server, server.pipeline() as pipeline:
            pipeline.delete(*(self._key(session_id, what) for what in ("entries", "about", "blobs")))
            pipeline.zrem(self._all, session_id)
            pipeline.execute()

    def _rename(self, session_id: str, new_id: str) -> None:
        with self._connection() as server, server.pipeline() as pipeline:
            for what in ("entries", "about", "blobs"):
                if server.exists(self._key(session_id, what)):
                    pipeline.rename(self._key(session_id, what), self._key(new_id, what))
            pipeline.zrem(self._all, session_id)
            pipeline.zadd(self._all, {new_id: time.time()})
            pipeline.execute()

    @contextmanager
    def _lock(self, session_id: str, wait: float) -> Iterator[_Lock]:
        key, token = self._key(session_id, "lock"), secrets.token_hex(16)
        self._acquire(session_id, key, token, wait)
        stopped = threading.Event()
        threading.Thread(target=self._renew, args=(key, token, stopped), name="agentkit-lease", daemon=True).start()
        try:
            yield _Lock(token)
        finally:
            stopped.set()
            with suppress(*self._errors):  # the lock expires by itself
                self._release_script([key], [token])

    def _acquire(self, session_id: str, key: str, token: str, wait: float) -> None:
        end = time.monotonic() + wait
        while True:
            with self._connection() as server:
                if server.set(key, token, nx=True, px=int(self._lease * 1000)):
                    return
            if time.monotonic() >= end:
                raise busy(session_id, wait)
            time.sleep(POLL)

    def _renew(self, key: str, token: str, stopped: threading.Event) -> None:
        """Renew the lock until `stopped` is set."""
        while not stopped.wait(self._lease / 4):
            with suppress(*self._errors):
                self._renew_script([key], [token, int(self._lease * 1000)])


def _time(seconds: bytes) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)
