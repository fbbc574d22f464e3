"""Pages kept on disk as HTTP allows (RFC 9111, by hishel), and revalidated by ETag and Last-Modified.

The cache knows no addresses: who asks it has checked them before, as for a request.
"""

import json
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from agentkit._forking import awaited_by_forks
from agentkit.errors import MissingExtraError

MAX_BYTES = 200_000_000
"""Maximum size of all pages together; those that were not used for the longest time are dropped."""
MAX_AGE = 7 * 86_400.0
"""Seconds after which a page is dropped, whatever its headers say."""
MAX_PAGE = 5_000_000
"""Maximum size of a page that is kept, in bytes."""
WAIT = 2.0
"""Maximum seconds to wait for another process."""

_TABLE = """CREATE TABLE IF NOT EXISTS page
(url TEXT PRIMARY KEY, headers TEXT, content BLOB, size INTEGER, stored REAL, used REAL)"""


class PageCache:
    """The pages in one SQLite file, shared by threads and processes. A file that can't be used is as good as empty.

    Raises MissingExtraError without hishel.
    """

    def __init__(self, at: str | os.PathLike[str]) -> None:
        try:
            import hishel  # noqa: F401 - slow to import, and only used here
        except ImportError:
            raise MissingExtraError("fetch(cache=...)", "web") from None
        self._at = Path(at)
        self._lock = awaited_by_forks(threading.RLock())  # a child can't use SQLite's files as it was half way through

    def kept(self, url: str, sent: Mapping[str, str]) -> "Kept":
        """What is kept of a URL, for a request with these headers."""
        row = None
        with self._database() as database:
            row = database.execute(
                "SELECT headers, content FROM page WHERE url = ? AND stored > ?", (url, time.time() - MAX_AGE)
            ).fetchone()
            if row is not None:
                database.execute("UPDATE page SET used = ? WHERE url = ?", (time.time(), url))
        return Kept(self, url, sent, *((json.loads(row[0]), row[1]) if row else ({}, None)))

    def put(self, url: str, headers: Mapping[str, str], content: bytes) -> None:
        """Keep a page, and drop the oldest ones that no longer fit."""
        now = time.time()
        with self._database() as database:
            row = (url, json.dumps(dict(headers)), content, len(content), now, now)
            database.execute("INSERT OR REPLACE INTO page VALUES (?, ?, ?, ?, ?, ?)", row)
            database.execute("DELETE FROM page WHERE stored < ?", (now - MAX_AGE,))
            database.execute(
                "DELETE FROM page WHERE url IN (SELECT url FROM (SELECT url, sum(size) OVER (ORDER BY used DESC, url) "
                "AS total FROM page) WHERE total > ?)",
                (MAX_BYTES,),
            )

    def drop(self, url: str) -> None:
        """Forget a page."""
        with self._database() as database:
            database.execute("DELETE FROM page WHERE url = ?", (url,))

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with self._lock, suppress(sqlite3.Error), closing(self._opened()) as database, database:
            yield database

    def _opened(self) -> sqlite3.Connection:
        """The database; an empty one in memory in place of a file that can't be used."""
        with suppress(OSError, sqlite3.OperationalError):
            try:
                return _connected(self._at)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                for end in ("", "-wal", "-shm"):  # a damaged file
                    Path(f"{self._at}{end}").unlink(missing_ok=True)
                return _connected(self._at)
        database = sqlite3.connect(":memory:")
        database.execute(_TABLE)
        return database


def _connected(at: Path) -> sqlite3.Connection:
    at.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):  # readable by its owner only, from the beginning
        os.close(os.open(at, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    database = sqlite3.connect(at, timeout=WAIT)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")  # what is lost is fetched again
        database.execute(_TABLE)
    except sqlite3.Error:
        database.close()
        raise
    return database


class Kept:
    """What is kept of one URL: `content` is None when that is nothing."""

    def __init__(
        self, cache: PageCache, url: str, sent: Mapping[str, str], headers: Mapping[str, str], content: bytes | None
    ) -> None:
        from hishel import CacheOptions, Entry, FromCache, Headers, IdleClient, NeedRevalidation, Request, Response

        self._cache = cache
        self._url = url
        self._sent = sent
        self.headers = headers
        self.content = content
        self._options = CacheOptions(shared=False, supported_methods=["GET"], allow_stale=False)
        request = Request("GET", url, Headers(dict(sent)))
        entries = [] if content is None else [Entry(uuid.uuid4(), request, Response(200, Headers(dict(headers))))]
        state: Any = IdleClient(options=self._options).next(request, entries)
        self.is_fresh = isinstance(state, FromCache)
        self._stale = state if isinstance(state, NeedRevalidation) else None

    @property
    def conditions(self) -> dict[str, str]:
        """The headers that ask whether the kept page is still the page."""
        asked = {} if self._stale is None else self._stale.request.headers
        names = ("if-none-match", "if-modified-since")
        return {name: asked[name] for name in names if name in asked}

    def without_conditions(self) -> "Kept":
        """The same as if nothing were kept."""
        return Kept(self._cache, self._url, self._sent, {}, None)

    def renew(self, headers: Mapping[str, str]) -> None:
        """Take the answer 304: the page is still the same, its headers are these. Forgets it when it is another's."""
        from hishel import Headers, NeedToBeUpdated, Response

        state = None if self._stale is None else self._stale.next(Response(304, Headers(dict(headers))))
        if isinstance(state, NeedToBeUpdated) and self.content is not None:
            renewed = state.updating_entries[-1].response.headers
            self.headers = {name.lower(): str(renewed[name]) for name in renewed}
            self._cache.put(self._url, self.headers, self.content)
            return
        self._cache.drop(self._url)
        self.content = None

    def store(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        """Keep a page that was just read, if its headers allow it; else forget what was kept before."""
        from hishel import CacheMiss, Headers, Request, Response, StoreAndUse

        request = Request("GET", self._url, Headers(dict(self._sent)))
        response = Response(status, Headers(dict(headers)))
        state = CacheMiss(options=self._options, request=request).next(response)
        is_kept = isinstance(state, StoreAndUse) and status == 200 and headers.get("vary", "").strip() != "*"
        if is_kept and len(content) <= MAX_PAGE:
            # the content is decompressed
            stored = {name: value for name, value in headers.items() if name not in _OF_THE_TRANSFER}
            self._cache.put(self._url, stored, content)
        elif self.content is not None:
            self._cache.drop(self._url)


_OF_THE_TRANSFER = ("content-encoding", "content-length", "transfer-encoding", "connection", "set-cookie")
