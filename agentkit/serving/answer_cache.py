"""Keeps the model's answers to questions that are asked again: a model that samples at temperature 0 would give the
same one.

An answer is kept when it is the model's first and only reply to a question: one with calls of tools is not, nor is what
follows their results, so that a tool runs each time. It is found by all that the model is sent: the messages, the
tools, the sampling, the form of the answer. All callers of the service share it.
"""

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Protocol

from agentkit._forking import freed_by_forks
from agentkit.backend import Backend, ReplyStream, Request, ending_of
from agentkit.event import ReasoningDelta, Reply, TextDelta
from agentkit.message import reasoning_of
from agentkit.middleware.base import Middleware
from agentkit.middleware.tool_choice import has_called
from agentkit.serving.exchange import CACHED
from agentkit.serving.outage import STORE_OUTAGE
from agentkit.sessions.redis_client import RedisClient
from agentkit.sessions.redis_url import is_redis_url, parse_redis_url

MAX_ANSWERS = 1000
"""How many answers are kept; the oldest are forgotten first."""
MAX_ANSWER_BYTES = 200_000
"""Size of an answer that is kept, as JSON."""
MAX_BYTES = 32_000_000
"""Size of all answers together that are kept in memory."""
RETRY_SECONDS = 2.0
"""Seconds without a request to a Redis server that has just failed."""

# KEYS: the answer, the index of all. ARGV: the answer's text, seconds that it is kept, how many are kept.
KEEP = """
redis.replicate_commands()
local now = tonumber(redis.call('TIME')[1])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('ZADD', KEYS[2], now, KEYS[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[2])
local excess = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[3])
if excess > 0 then
  for _, key in ipairs(redis.call('ZRANGE', KEYS[2], 0, excess - 1)) do
    redis.call('DEL', key)
    redis.call('ZREM', KEYS[2], key)
  end
end
redis.call('EXPIRE', KEYS[2], ARGV[2])
"""


class AnswerStore(Protocol):
    """Where answers are kept, for a time and in a number that are limited. Thread-safe; it raises nothing."""

    def get(self, key: str) -> str | None:
        """The answer that is kept under a key."""

    def set(self, key: str, answer: str) -> None:
        """Keep an answer."""


class MemoryAnswers:
    """Keeps answers in this process. seconds: how long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._answers: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._size = 0
        self._lock = freed_by_forks(threading.Lock())

    def get(self, key: str) -> str | None:
        """See `AnswerStore.get`."""
        with self._lock:
            end, answer = self._answers.get(key, (0.0, ""))
        return answer if end > time.monotonic() else None

    def set(self, key: str, answer: str) -> None:
        """See `AnswerStore.set`."""
        now = time.monotonic()
        with self._lock:
            self._drop(key)
            self._answers[key] = (now + self._seconds, answer)
            self._size += len(answer)
            while self._answers and self._has_too_much(now):
                self._drop(next(iter(self._answers)))

    def _has_too_much(self, now: float) -> bool:
        oldest_end = next(iter(self._answers.values()))[0]
        return len(self._answers) > MAX_ANSWERS or self._size > MAX_BYTES or oldest_end <= now

    def _drop(self, key: str) -> None:
        _, answer = self._answers.pop(key, (0.0, ""))
        self._size -= len(answer)


class RedisAnswers:
    """Keeps answers in a Redis server, which all processes share. seconds: how long. While the server is unreachable,
    nothing is kept; it is tried again after RETRY_SECONDS."""

    def __init__(self, seconds: float, url: str) -> None:
        address = parse_redis_url(url)
        self._seconds = max(1, int(seconds))
        self._prefix = f"{address.prefix or 'agentkit:'}{{answers}}:"  # in braces: one slot of a cluster
        self._client = RedisClient(address)
        self._next_try = float("-inf")

    def get(self, key: str) -> str | None:
        """See `AnswerStore.get`."""
        found = self._do(lambda: self._client.do(lambda server: server.get(f"{self._prefix}{key}")))
        return found.decode("utf-8", "replace") if isinstance(found, bytes) else found

    def set(self, key: str, answer: str) -> None:
        """See `AnswerStore.set`."""
        names = [f"{self._prefix}{key}", f"{self._prefix}index"]
        self._do(lambda: self._client.run(KEEP, names, [answer, self._seconds, MAX_ANSWERS]))

    def _do(self, action: Any) -> Any:
        if time.monotonic() < self._next_try:
            return None
        try:
            done = action()
        except Exception as error:  # noqa: BLE001 - any error of the server
            self._next_try = time.monotonic() + RETRY_SECONDS
            STORE_OUTAGE.note(f"answers are not kept: {type(error).__name__}: {error}")
            return None
        STORE_OUTAGE.end()
        return done


def answer_store(seconds: float, where: str) -> AnswerStore:
    """The store of answers for a session store: its Redis server, which is shared; else memory."""
    return RedisAnswers(seconds, where) if is_redis_url(where) else MemoryAnswers(seconds)


class CachedAnswers(Middleware):
    """Answers questions that were asked before. temperature: of requests that have none of their own; None: not known.
    scope: what else the answers depend on, as JSON values."""

    def __init__(self, backend: Backend, store: AnswerStore, temperature: float | None, scope: Any) -> None:
        super().__init__(backend)
        self._store = store
        self._temperature = temperature
        self._scope = scope

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        key = self._key(request)
        kept = None if key is None else _reply_in(self._store.get(key))
        if kept is not None:
            yield from _deltas(kept)
            yield kept
            return
        with closing(self.backend.reply(request)) as deltas:
            for delta in deltas:
                if key is not None and isinstance(delta, Reply) and (text := _text_of(delta)) is not None:
                    self._store.set(key, text)
                yield delta

    def _key(self, request: Request) -> str | None:
        """What an answer is kept under; None for one that is not kept."""
        sampling = request.sampling
        temperature = sampling.get("temperature", self._temperature)
        if isinstance(temperature, bool) or temperature != 0 or has_called(request.said):
            return None
        asked = [
            self._scope,
            list(request.transcript),
            request.tools.schemas,
            dict(sampling),
            None if request.response_format is None else dict(request.response_format),
        ]
        try:
            written = json.dumps(asked, sort_keys=True)
        except (TypeError, ValueError, RecursionError):
            return None
        return hashlib.sha256(written.encode()).hexdigest()


def _text_of(reply: Reply) -> str | None:
    """A reply as JSON; None for one that is not kept: with calls, without a text, cut off, too large."""
    message: Mapping[str, Any] = reply.message
    content = message.get("content")
    is_whole = not message.get("tool_calls") and not reply.then and ending_of(reply.finish_reason) == "stop"
    if not is_whole or not isinstance(content, str) or not content.strip():
        return None
    try:
        text = json.dumps({"message": message, "finish_reason": reply.finish_reason, "extra": reply.extra})
    except (TypeError, ValueError, RecursionError):
        return None
    return text if len(text) <= MAX_ANSWER_BYTES else None


def _reply_in(text: str | None) -> Reply | None:
    if text is None:
        return None
    try:
        kept = json.loads(text)
        reply = Reply(kept["message"], kept["finish_reason"], extra={**kept["extra"], CACHED: True})
    except (ValueError, KeyError, TypeError):  # another version's, or damaged
        return None
    return reply if isinstance(reply.message, dict) else None


def _deltas(reply: Reply) -> Iterator[ReasoningDelta | TextDelta]:
    reasoning = reasoning_of(reply.message)
    if reasoning:
        yield ReasoningDelta(reasoning)
    yield TextDelta(str(reply.message["content"]))
