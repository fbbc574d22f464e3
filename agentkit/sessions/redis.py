"""Sessions in Redis, shared by processes and machines.

A session is locked by a key that expires after LEASE seconds unless it is renewed, so that the lock of a killed writer
is freed. Each write carries the lock's token, and Redis itself rejects it when another writer has taken over. How much
of what Redis has acknowledged survives a crash of Redis depends on its configuration (appendfsync).
"""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from agentkit.errors import ConfigurationError, SessionError
from agentkit.net.kept_keys import keyless_address
from agentkit.session import SessionInfo, Sessions, busy
from agentkit.sessions.log import Marks
from agentkit.sessions.redis_client import RedisClient
from agentkit.sessions.redis_url import is_lease, parse_redis_url

if TYPE_CHECKING:
    import redis

LEASE = 10.0
"""Seconds after which a lock that is not renewed expires."""

POLL = 0.05
PREFIX, CLUSTER_PREFIX = "agentkit:", "{agentkit}:"
"""The prefix of all keys. In a cluster it has a hash tag, so that all are in one slot: scripts need that."""

KINDS = ("entries", "about", "blobs", "marks")
"""What is stored of a session, a key each. about: times, the number of entries whose marks are known (fewer than all
when an agentkit without marks wrote some, -1 when some were lost), and that of the marks: a Redis that evicts keys may
drop one of these four."""

Answer = TypeVar("Answer")

# KEYS: lock, entries, about, blobs, marks, all sessions by time, all sessions by name.
# ARGV: token, id, now, entries before, count of entries, of marks, first entry whose marks are dropped or "",
# entries..., then name and place of each mark, then digest and data of each image...
# A client that did not receive the answer sends the command again; then the entries exist already.
APPEND = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('LOSTLOCK') end
local before, count, have = tonumber(ARGV[4]), tonumber(ARGV[5]), redis.call('LLEN', KEYS[2])
if have == before + count then return have end
if have ~= before then return redis.error_reply('LOSTLOCK') end
local kept = tonumber(redis.call('HGET', KEYS[3], 'kept'))
if have == 0 then
  redis.call('DEL', KEYS[5])
  redis.call('HSET', KEYS[3], 'marked', 0)
elseif kept and kept ~= redis.call('ZCARD', KEYS[5]) then
  redis.call('HSET', KEYS[3], 'marked', -1)
end
local marks = 8 + count
local images = marks + 2 * tonumber(ARGV[6])
for index = 8, marks - 1 do redis.call('RPUSH', KEYS[2], ARGV[index]) end
if ARGV[7] ~= '' then redis.call('ZREMRANGEBYSCORE', KEYS[5], ARGV[7], '+inf') end
for index = marks, images - 1, 2 do redis.call('ZADD', KEYS[5], ARGV[index + 1], ARGV[index]) end
redis.call('HSET', KEYS[3], 'kept', redis.call('ZCARD', KEYS[5]))
for index = images, #ARGV, 2 do redis.call('HSETNX', KEYS[4], ARGV[index], ARGV[index + 1]) end
redis.call('HSETNX', KEYS[3], 'created', ARGV[3])
local now = ARGV[3]
local created = redis.call('HGET', KEYS[3], 'created')
if tonumber(created) > tonumber(now) then now = created end
redis.call('HSET', KEYS[3], 'updated', now)
if tonumber(redis.call('HGET', KEYS[3], 'marked') or '0') == before then
  redis.call('HSET', KEYS[3], 'marked', before + count)
end
redis.call('ZADD', KEYS[6], now, ARGV[2])
redis.call('ZADD', KEYS[7], 0, ARGV[2])
return have + count
"""
# KEYS: lock, entries, about, blobs, marks, all sessions by time, all sessions by name. ARGV: token, id, now, entries...
REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('LOSTLOCK') end
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
for index = 4, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[index]) end
for _, name in ipairs({'created', 'updated'}) do redis.call('HSET', KEYS[3], name, ARGV[3]) end
redis.call('HSET', KEYS[3], 'marked', #ARGV - 3)
redis.call('ZADD', KEYS[6], ARGV[3], ARGV[2])
redis.call('ZADD', KEYS[7], 0, ARGV[2])
return #ARGV - 3
"""
# KEYS: lock. ARGV: token, milliseconds. Whoever did not receive the answer and asks again has the lock already.
ACQUIRE = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""
RENEW = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
# KEYS: all sessions by time, by name, then what is stored of the session. ARGV: id.
DELETE = """
redis.call('DEL', unpack(KEYS, 3))
redis.call('ZREM', KEYS[1], ARGV[1])
return redis.call('ZREM', KEYS[2], ARGV[1])
"""
# KEYS: all sessions by time, by name, then old and new key of each kind. ARGV: old id, new id, now.
RENAME = """
for index = 3, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[index]) == 1 then redis.call('RENAME', KEYS[index], KEYS[index + 1]) end
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[2])
return redis.call('ZADD', KEYS[2], 0, ARGV[2])
"""
# KEYS: all sessions by time, by name. ARGV: the range of names. An agentkit without prefixes writes only the first.
LIST = """
if redis.call('ZCARD', KEYS[1]) ~= redis.call('ZCARD', KEYS[2]) then
  redis.call('ZUNIONSTORE', KEYS[2], 1, KEYS[1], 'WEIGHTS', 0)
end
return redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], ARGV[2])
"""
# KEYS: entries, about, marks. ARGV: names. Returns whether the marks of all entries are known, and the places.
MARKS = """
local marked = tonumber(redis.call('HGET', KEYS[2], 'marked') or '0')
local kept = tonumber(redis.call('HGET', KEYS[2], 'kept'))
local has_all = not kept or kept == redis.call('ZCARD', KEYS[3])
local found = {has_all and marked == redis.call('LLEN', KEYS[1]) and 1 or 0}
for index, name in ipairs(ARGV) do found[index + 1] = redis.call('ZSCORE', KEYS[3], name) end
return found
"""


@dataclass
class _Lock:
    """The lock of a session. length: the number of its entries, once known. process: the one that holds it."""

    token: str
    length: int | None = None
    process: int = field(default_factory=os.getpid)


class RedisSessions(Sessions):
    """Sessions in Redis at `url`: "redis://[user:password@]host:port/db", "rediss://" (TLS), "unix://PATH",
    "redis+cluster://host:port,host:port", "redis+sentinel://host:port,host:port/service/db", with the options of
    redis-py in the query, and `prefix` and `lease`. User and password are percent-encoded.

    prefix: the prefix of all keys; None: that of the URL, else "agentkit:", in a cluster "{agentkit}:". wait: seconds
    that a writer waits for another to finish. lease: seconds after which the lock of a writer that was killed or lost
    its connection expires; None: that of the URL, else 10. Raises ConfigurationError for an invalid URL or prefix,
    MissingExtraError without the redis package, and on use SessionError when Redis can't be reached.
    """

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        prefix: str | None = None,
        wait: float = 30.0,
        lease: float | None = None,
    ) -> None:
        super().__init__(wait)
        # A function, since what is shown of a store has no password.
        self._pickled_as: Callable[[], tuple[Any, ...]] = lambda: (keyless_address(url), prefix, wait, lease)
        address = parse_redis_url(url)
        self._prefix = next(each for each in (prefix, address.prefix, PREFIX) if each is not None)
        if address.is_cluster:
            self._prefix = CLUSTER_PREFIX if self._prefix == PREFIX else self._prefix
            if not 0 <= self._prefix.find("{") < self._prefix.find("}") - 1:
                raise ConfigurationError(
                    f"in a Redis Cluster all keys of the store have to be in one slot: set prefix={CLUSTER_PREFIX!r} "
                    f"instead of {self._prefix!r}"
                )
        self._lease = next(each for each in (lease, address.lease, LEASE) if each is not None)
        if not is_lease(self._lease):
            raise ConfigurationError(
                f"RedisSessions(lease={lease!r:.40}): must be a number of seconds, above 0 and below a day"
            )
        self._client = RedisClient(address)

    def __repr__(self) -> str:
        return f"RedisSessions({self._client.address})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its address: in another process it connects itself. Raises PicklingError for one with a password
        that stands in no environment variable."""
        return RedisSessions, self._pickled_as()

    def close(self) -> None:
        """Close the connections; they are opened again when needed."""
        self._client.close()

    def _key(self, session_id: str, what: str) -> str:
        return f"{self._prefix}session:{session_id}:{what}"

    def _keys(self, session_id: str) -> list[str]:
        return [self._key(session_id, what) for what in KINDS]

    @property
    def _all(self) -> list[str]:
        return [f"{self._prefix}sessions", f"{self._prefix}sessions-by-name"]

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except self._client.errors as error:
            raise self._failure(error) from error

    def _do(self, action: "Callable[[redis.Redis], Answer]") -> Answer:
        with self._failures():
            return self._client.do(action)

    def _run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        with self._failures():
            return self._client.run(script, keys, arguments)

    def _failure(self, error: Exception) -> SessionError:
        reason = str(error)
        if "LOSTLOCK" in reason:
            return SessionError(
                "another writer has taken over this session, since this one did not renew its lock for "
                f"{self._lease:g} seconds: nothing was written"
            )
        if any(name in reason for name in ("CROSSSLOT", "same slot", "MOVED")) or type(error).__name__ == "MovedError":
            return SessionError(
                f"{self!r} is part of a Redis Cluster: open it with redis+cluster://, or, if it is the only node, set "
                f"prefix={CLUSTER_PREFIX!r}"
            )
        return SessionError(f"{self!r} can't be used: {type(error).__name__}: {error}")

    def _append(self, session_id: str, entries: Sequence[str], blobs: Mapping[str, bytes], lock: Any) -> None:
        self._append_marked(session_id, entries, blobs, lock, Marks())

    def _append_marked(
        self, session_id: str, entries: Sequence[str], blobs: Mapping[str, bytes], lock: _Lock, marks: Marks
    ) -> None:
        keys = self._written(session_id, lock)
        length = lock.length
        if length is None:
            length = int(self._do(lambda server: server.llen(keys[1])))
        lock.length = None  # not known if the next line fails
        places = [value for name, index in marks.places.items() for value in (name, length + index)]
        images = [value for pair in blobs.items() for value in pair]
        dropped = "" if marks.dropped_from is None else marks.dropped_from
        counts = [length, len(entries), len(marks.places), dropped]
        self._run(APPEND, keys, [lock.token, session_id, time.time(), *counts, *entries, *places, *images])
        lock.length = length + len(entries)

    def _replace(self, session_id: str, entries: Sequence[str], lock: _Lock) -> bool:
        keys = self._written(session_id, lock)
        lock.length = None
        self._run(REPLACE, keys, [lock.token, session_id, time.time(), *entries])
        lock.length = len(entries)
        return True

    def _written(self, session_id: str, lock: _Lock) -> list[str]:
        """The keys that a write names. Raises SessionError in a child of the process that holds the lock."""
        if lock.process != os.getpid():
            raise SessionError(f"session {session_id!r} is locked by the parent process: nothing was written")
        return [self._key(session_id, "lock"), *self._keys(session_id), *self._all]

    def _mark(self, session_id: str, name: str) -> int | None:
        return self._marks(session_id, (name,))[0]

    def _marks(self, session_id: str, names: Sequence[str]) -> list[int | None]:
        keys = [self._key(session_id, what) for what in ("entries", "about", "marks")]
        is_complete, *places = self._run(MARKS, keys, names)
        if not is_complete:
            return [super(RedisSessions, self)._mark(session_id, name) for name in names]
        return [None if place is None else int(place) for place in places]

    def _read(self, session_id: str, start: int, count: int | None = None) -> Sequence[str]:
        if count == 0:  # an end of -1 is that of the list
            return []
        end = -1 if count is None else start + count - 1
        found: Any = self._do(lambda server: server.lrange(self._key(session_id, "entries"), start, end))
        return [body.decode() for body in found]

    def _blob(self, session_id: str, digest: str) -> bytes | None:
        found: Any = self._do(lambda server: server.hget(self._key(session_id, "blobs"), digest))
        return found if found is None else bytes(found)

    def _list(self) -> Iterable[SessionInfo]:
        return self._list_prefix("")

    def _list_prefix(self, prefix: str) -> Iterable[SessionInfo]:
        encoded = prefix.encode()
        first, last = (b"[" + encoded, b"(" + encoded + b"\xff") if prefix else (b"-", b"+")
        ids = [each.decode() for each in self._run(LIST, self._all, [first, last])]

        def read(server: "redis.Redis") -> list[Any]:
            pipeline = server.pipeline(transaction=False)
            for session_id in ids:
                pipeline.hmget(self._key(session_id, "about"), "created", "updated")
                pipeline.llen(self._key(session_id, "entries"))
            return pipeline.execute()

        replies = self._do(read)
        for index, session_id in enumerate(ids):
            (created, updated), count = replies[2 * index : 2 * index + 2]
            if count:
                yield SessionInfo(session_id, count, _time(created), _time(updated))

    def _delete(self, session_id: str) -> None:
        self._run(DELETE, [*self._all, *self._keys(session_id)], [session_id])

    def _rename(self, session_id: str, new_id: str) -> None:
        pairs = zip(self._keys(session_id), self._keys(new_id), strict=True)
        keys = [*self._all, *(key for pair in pairs for key in pair)]
        self._run(RENAME, keys, [session_id, new_id, time.time()])

    @contextmanager
    def _lock(self, session_id: str, wait: float) -> Iterator[_Lock]:
        key, lock = self._key(session_id, "lock"), _Lock(secrets.token_hex(16))
        self._acquire(session_id, key, lock.token, wait)
        stopped = threading.Event()
        threading.Thread(
            target=self._renew, args=(key, lock.token, stopped), name="agentkit-lease", daemon=True
        ).start()
        try:
            yield lock
        finally:
            stopped.set()
            if lock.process == os.getpid():  # a child that leaves the block has no lock
                with suppress(SessionError):  # the lock expires by itself
                    self._run(RELEASE, [key], [lock.token])

    def _acquire(self, session_id: str, key: str, token: str, wait: float) -> None:
        end = time.monotonic() + wait
        while not self._run(ACQUIRE, [key], [token, int(self._lease * 1000)]):
            if time.monotonic() >= end:
                raise busy(session_id, wait)
            time.sleep(POLL)

    def _renew(self, key: str, token: str, stopped: threading.Event) -> None:
        """Renew the lock until `stopped` is set."""
        while not stopped.wait(self._lease / 4):
            with suppress(SessionError):
                self._run(RENEW, [key], [token, int(self._lease * 1000)])


def _time(seconds: bytes | None) -> datetime:
    return datetime.fromtimestamp(float(seconds or 0), UTC)
