"""Searches several engines without a key, through the ddgs package."""

import re
from contextlib import suppress
from typing import Any

from agentkit.errors import MissingExtraError
from agentkit_tools.providers import TIMEOUT, Hit, SearchFailed, hits_of

RATE_LIMIT = (
    "the search engines refuse more searches for now (a rate limit): wait some minutes, or set another provider with "
    "AGENTKIT_SEARCH"
)
_REFUSED = re.compile(r"rate.?limit|too many requests|captcha|\b(?:202|403|418|429)\b", re.IGNORECASE)


def duckduckgo(query: str, max_results: int) -> list[Hit]:
    """Searches several engines through the ddgs package, or through duckduckgo_search, its former name."""
    search_engine, failure = _ddgs()
    engines = search_engine(timeout=int(TIMEOUT))
    statuses = _watched(engines)
    try:
        found = engines.text(query, max_results=max_results)
    except failure as error:
        found = _nothing(error, statuses)
    if not found:
        _check_statuses(statuses)
    return hits_of(found or [], ("title", "href", "body"))


def _nothing(error: Exception, statuses: list[int]) -> list[Any]:
    """Returns no results when that is what an error means. Raises SearchFailed otherwise."""
    if type(error).__name__ == "RatelimitException" or _REFUSED.search(str(error)):
        raise SearchFailed(RATE_LIMIT) from None
    if "No results" in str(error):
        return []
    if type(error).__name__ == "TimeoutException":
        raise SearchFailed("no search engine answered in time; try again later") from None
    _check_statuses(statuses)
    raise SearchFailed("no search engine could be reached") from None


def _check_statuses(statuses: list[int]) -> None:
    """Raises SearchFailed when every engine refused: the package takes a refusal for an empty page."""
    if not statuses or 200 in statuses:
        return
    if any(status in (202, 403, 418, 429) for status in statuses):
        raise SearchFailed(RATE_LIMIT)
    raise SearchFailed(f"all search engines answered with an error (status {statuses[0]}); try again later")


def _watched(engines: Any) -> list[int]:
    """Returns a list to which the status of each response is added. ddgs has no public hook for this; where a version's
    internals differ, the list stays empty."""
    statuses: list[int] = []

    def watch(client: Any) -> None:
        send = client.request

        def request(*arguments: Any, **options: Any) -> Any:
            response = send(*arguments, **options)
            statuses.append(response.status_code)
            return response

        client.request = request

    def made(*arguments: Any, **options: Any) -> Any:
        found = make(*arguments, **options)
        for engine in found:
            with suppress(AttributeError):
                watch(engine.http_client)
        return found

    with suppress(AttributeError):
        make = engines._get_engines
        engines._get_engines = made
    return statuses


def _ddgs() -> tuple[Any, type[Exception]]:
    try:
        from ddgs import DDGS
        from ddgs.exceptions import DDGSException
    except ImportError:
        pass
    else:
        return DDGS, DDGSException
    try:
        from duckduckgo_search import DDGS as OLD_DDGS
        from duckduckgo_search.exceptions import DuckDuckGoSearchException
    except ImportError:
        raise MissingExtraError("searching with DuckDuckGo", "web") from None
    return OLD_DDGS, DuckDuckGoSearchException
