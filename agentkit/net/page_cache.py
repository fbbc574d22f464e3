"""Pages kept on disk as HTTP allows (RFC 9111, by hishel), and revalidated by ETag and Last-Modified.

The cache knows no addresses: who asks it has checked them before, as for a request.
"""

import os
import uuid
from collections.abc import Mapping
from typing import Any

from agentkit.errors import MissingExtraError
from agentkit.net.cache_file import CacheFile

MAX_BYTES = 200_000_000
"""Maximum size of all pages together; those that were not used for the longest time are dropped."""
MAX_AGE = 7 * 86_400.0
"""Seconds after which a page is dropped, whatever its headers say."""
MAX_PAGE = 5_000_000
"""Maximum size of a page that is kept, in bytes."""


class PageCache:
    """The pages in one SQLite file, shared by threads and processes. A file that can't be used is as good as empty.

    Raises MissingExtraError without hishel.
    """

    def __init__(self, at: str | os.PathLike[str]) -> None:
        try:
            import hishel  # noqa: F401 - slow to import, and only used here
        except ImportError:
            raise MissingExtraError("fetch(cache=...)", "web") from None
        self._file = CacheFile(at, MAX_BYTES, MAX_AGE)

    def kept(self, url: str, sent: Mapping[str, str]) -> "Kept":
        """What is kept of a URL, for a request with these headers."""
        headers, content = self._file.get(url) or ({}, None)
        return Kept(self, url, sent, headers, content)

    def put(self, url: str, headers: Mapping[str, str], content: bytes) -> None:
        """Keep a page, and drop the oldest ones that no longer fit."""
        self._file.put(url, headers, content)

    def drop(self, url: str) -> None:
        """Forget a page."""
        self._file.drop(url)


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
