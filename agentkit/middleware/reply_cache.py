"""Keeps the replies of model servers in a file, and replays them for the same request.

What is kept is the response of the server, under the sha256 of the address and the exact bytes of the request: model,
messages, tools, schema and sampling are all in it, and none can be forgotten. It is replayed whole, or as the same
events. No keys and no headers of requests are kept.
"""

import functools
import hashlib
import json
import math
import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from agentkit._lazy.logs import logger_of
from agentkit._lazy.records import replace
from agentkit._text import cut
from agentkit.backend import Backend, ReplyStream, Request, ending_of
from agentkit.errors import ConfigurationError
from agentkit.event import Reply
from agentkit.message import text_of
from agentkit.middleware.base import Middleware
from agentkit.net.cache_file import CacheFile
from agentkit.net.exchanges import Onlooker, Sent, Stored, seen_by
from agentkit.net.repeats import current_run

logger, run_log = logger_of("agentkit"), logger_of("agentkit.run")

MAX_BYTES = 200_000_000
"""Size of all replies together, unless a cache says otherwise."""
MAX_REPLY = 20_000_000
"""Size of a response that is kept, in bytes."""


class ReplyCache:
    """A middleware that keeps replies in an SQLite file: `Agent(..., middleware=[ReplyCache("replies.db")])`.

    path: of the file, which threads, agents and processes may share. seconds: how long a reply is kept; None: for good.
    max_bytes: the size of all replies together; those that were not used for the longest time are forgotten.

    A reply is kept when it is complete: not an error, not empty, not broken off or cut off. A replayed one has the
    usage that was recorded, at a cost of 0. Pickled and copied it stays the cache of the same file.

    Raises ConfigurationError for a path that can't be a file, seconds or max_bytes that are not above 0.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, seconds: float | None = None, max_bytes: int = MAX_BYTES
    ) -> None:
        self._path = _checked_path(path)
        if seconds is not None and (not _is_number(seconds) or not seconds > 0):
            raise ConfigurationError(f"ReplyCache(seconds={seconds!r}): use a number of seconds above 0, or None")
        if not _is_number(max_bytes) or not 0 < max_bytes < math.inf:
            raise ConfigurationError(f"ReplyCache(max_bytes={max_bytes!r}): use a number of bytes above 0")
        self._seconds = seconds
        self._max_bytes = int(max_bytes)
        self._file = CacheFile(self._path, self._max_bytes, seconds)
        self._has_warned = False

    def __call__(self, backend: Backend) -> Backend:
        return _Replaying(backend, self)

    def __repr__(self) -> str:
        seconds = "" if self._seconds is None else f", seconds={self._seconds!r}"
        return f"ReplyCache({self._path.name!r}{seconds})"

    def __reduce__(self) -> Any:
        made = functools.partial(ReplyCache, seconds=self._seconds, max_bytes=self._max_bytes)
        return made, (str(self._path),)

    def __copy__(self) -> "ReplyCache":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "ReplyCache":
        return self

    def stored(self, key: str) -> Stored | None:
        """The response that is kept under a key."""
        found = self._file.get(key)
        if found is None:
            return None
        status, content_type = found[0].get("status"), found[0].get("content_type")
        is_valid = isinstance(status, int) and 200 <= status < 300 and isinstance(content_type, str)
        return Stored(status, content_type, found[1]) if is_valid else None  # type: ignore[arg-type]

    def keep(self, key: str, stored: Stored) -> None:
        """Keep a response."""
        if len(stored.body) <= min(MAX_REPLY, self._max_bytes):
            about = {"status": stored.status, "content_type": stored.content_type}
            self._file.put(key, about, stored.body)

    def forget(self, key: str) -> None:
        """Forget a response that turned out to be damaged."""
        self._file.drop(key)

    def warn_of_no_request(self, backend: Backend) -> None:
        """Log, once, that nothing can be kept of a backend."""
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "%r keeps nothing of %s: it sends no HTTP request of agentkit's", self, cut(repr(backend), 200)
            )


class _Replaying(Middleware):
    """Wraps a backend. cache: shared by its replies, and by others."""

    def __init__(self, backend: Backend, cache: ReplyCache) -> None:
        super().__init__(backend)
        self._cache = cache

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        recording = _Recording(self._cache)
        has_yielded = False
        try:
            with closing(self.backend.reply(request)) as deltas:
                for delta in seen_by(recording, deltas):
                    yield recording.finished(delta, request) if isinstance(delta, Reply) else delta
                    has_yielded = True
        except Exception:
            if not recording.is_replayed:
                raise
            self._cache.forget(recording.key)  # what is kept can't be read
            if has_yielded:
                raise
            is_there = self._cache.stored(recording.key) is not None  # in a file that can't be written
            yield from (self.backend if is_there else self).reply(request)
        if not recording.key:
            self._cache.warn_of_no_request(self.backend)


class _Recording(Onlooker):
    """Records the last response of one reply. key: of its request, "" before there is one. is_replayed: whether it was
    kept before."""

    def __init__(self, cache: ReplyCache) -> None:
        self.key = ""
        self.is_replayed = False
        self._cache = cache
        self._status = 0
        self._content_type = ""
        self._chunks: list[bytes] = []
        self._size = 0
        self._is_broken = False

    def stored(self, sent: Sent) -> Stored | None:
        """See `Onlooker.stored`."""
        _, repeat = current_run()
        about = sent.url if repeat == 1 else f"{sent.url}\0{repeat}"  # a repeat gets a reply of its own
        self.key = hashlib.sha256(b"%s\0%s" % (about.encode("utf-8", "surrogatepass"), sent.body)).hexdigest()
        self.is_replayed = False
        return self._cache.stored(self.key)

    def replayed(self, sent: Sent) -> None:
        """See `Onlooker.replayed`."""
        self.is_replayed = True

    def answered(self, sent: Sent, status: int, headers: Mapping[str, str]) -> None:
        """See `Onlooker.answered`."""
        self._status, self._content_type = status, headers.get("content-type") or ""
        self._chunks, self._size, self._is_broken = [], 0, False

    def received(self, chunk: bytes) -> None:
        """See `Onlooker.received`."""
        self._size += len(chunk)
        if self._size <= MAX_REPLY:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()

    def broke(self) -> None:
        """See `Onlooker.broke`."""
        self._is_broken = True

    def ended(self) -> None:
        """See `Onlooker.ended`."""
        self._is_broken = False

    def finished(self, reply: Reply, request: Request) -> Reply:
        """Keep the response if the reply is complete; one that was kept before costs nothing."""
        if self.is_replayed:
            run_log.info("the reply is replayed from %r", self._cache)
            return replace(reply, usage=replace(reply.usage, cost=0.0))
        is_whole = 200 <= self._status < 300 and not self._is_broken and 0 < self._size <= MAX_REPLY
        if is_whole and _is_complete(reply, request):
            self._cache.keep(self.key, Stored(self._status, self._content_type, b"".join(self._chunks)))
        return reply


def _is_complete(reply: Reply, request: Request) -> bool:
    """Whether a reply is one that the server would give again: whole, with a text or calls, and of the schema where
    there is one."""
    text = text_of(reply.message).strip()
    if ending_of(reply.finish_reason) not in ("stop", None) or not (text or reply.message.get("tool_calls")):
        return False
    return request.response_format is None or not text or _is_of(request.response_format, text)


def _is_of(response_format: Mapping[str, Any], text: str) -> bool:
    """Whether a text is JSON, of the schema that was asked for."""
    import jsonschema

    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    described = response_format.get("json_schema")
    schema = described.get("schema") if isinstance(described, Mapping) else None
    if not isinstance(schema, Mapping):
        return True
    checks = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
    try:
        return bool(checks(schema).is_valid(value))
    except Exception:  # noqa: BLE001 - of a schema that only the server understands
        return True


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _checked_path(path: str | os.PathLike[str]) -> Path:
    """The path without symbolic links. Raises ConfigurationError."""
    if not isinstance(path, str | os.PathLike):
        raise ConfigurationError(f"ReplyCache({path!r:.80}): give the path of a file")
    text = os.fsdecode(path)
    if not text.strip() or "\0" in text or text == ":memory:" or text[:5].lower() == "file:" or "://" in text:
        raise ConfigurationError(f"ReplyCache({text!r:.80}): give the path of a file, such as replies.db")
    if os.path.isdir(text):
        raise ConfigurationError(f"ReplyCache({text!r:.80}): it is a folder: give the path of a file in it")
    return Path(os.path.realpath(text))
