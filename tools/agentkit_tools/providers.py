"""Search services: a query in, hits out. Each is a few facts about one HTTP API, and one sender serves them all.

Sources: the services' API references (SearXNG /search?format=json; Brave Web Search; Serper; Tavily Search).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from agentkit.errors import MissingExtraError

TIMEOUT = 15.0
"""Seconds that a search service has to answer."""

MAX_BYTES = 5_000_000
"""Of an answer."""


@dataclass(frozen=True)
class Hit:
    """One result of a search."""

    title: str
    url: str
    snippet: str


class SearchFailed(Exception):
    """A search came to nothing; the message says why, for the model, without keys."""


Provider = Callable[[str, int], list[Hit]]
"""Query and number of results -> hits. Raises SearchFailed."""


@dataclass(frozen=True)
class Service:
    """An HTTP search API. url: where it is; None must be given. headers, parameters, body: what a request for a
    query carries. results: the list of hits in an answer. fields: the names of title, URL and snippet in a hit.
    refusal: what it means when it answers 401 or 403."""

    url: str | None
    path: str
    key: str | None
    headers: Callable[[str], dict[str, str]]
    results: Callable[[dict[str, Any]], Any]
    fields: tuple[str, str, str]
    parameters: Callable[[str, int], dict[str, Any]] | None = None
    body: Callable[[str, int], dict[str, Any]] | None = None
    refusal: str = "its key is wrong or missing"


SERVICES = {
    "searxng": Service(
        url=None,
        path="/search",
        key=None,
        headers=lambda key: {},
        parameters=lambda query, max_results: {"q": query, "format": "json"},
        results=lambda answer: answer.get("results"),
        fields=("title", "url", "content"),
        refusal="it does not let us in, or json is not among the formats in its settings",
    ),
    "brave": Service(
        url="https://api.search.brave.com",
        path="/res/v1/web/search",
        key="BRAVE_API_KEY",
        headers=lambda key: {"X-Subscription-Token": key},
        parameters=lambda query, max_results: {"q": query, "count": min(max_results, 20)},
        results=lambda answer: answer["web"]["results"] if "web" in answer else None,
        fields=("title", "url", "description"),
    ),
    "serper": Service(
        url="https://google.serper.dev",
        path="/search",
        key="SERPER_API_KEY",
        headers=lambda key: {"X-API-KEY": key},
        body=lambda query, max_results: {"q": query, "num": max_results},
        results=lambda answer: answer.get("organic"),
        fields=("title", "link", "snippet"),
    ),
    "tavily": Service(
        url="https://api.tavily.com",
        path="/search",
        key="TAVILY_API_KEY",
        headers=lambda key: {"Authorization": f"Bearer {key}"},
        body=lambda query, max_results: {"query": query, "max_results": min(max_results, 20)},
        results=lambda answer: answer.get("results"),
        fields=("title", "url", "content"),
    ),
}


def over_http(service: Service, base_url: str, key: str) -> Provider:
    """The provider for an HTTP service at an address that the user, not the model, has set."""

    def search(query: str, max_results: int) -> list[Hit]:
        answer = _json_of(_asked(service, base_url.rstrip("/") + service.path, key, query, max_results))
        try:
            found = service.results(answer) or []
            return [Hit(*(str(each.get(name) or "") for name in service.fields)) for each in found][:max_results]
        except (AttributeError, KeyError, TypeError):
            raise SearchFailed("the search service answered in an unknown form") from None

    return search


def _asked(service: Service, url: str, key: str, query: str, max_results: int) -> bytes:
    """The body of the service's answer. Raises SearchFailed when there is none."""

    def with_key(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(service.headers(key))
        return request

    try:
        with (
            requests.Session() as session,
            session.request(
                "POST" if service.body else "GET",
                url,
                headers={"Accept": "application/json"},
                params=service.parameters(query, max_results) if service.parameters else None,
                json=service.body(query, max_results) if service.body else None,
                auth=with_key if key else None,  # set last: a .netrc would replace an Authorization header
                allow_redirects=False,  # the key goes nowhere else
                stream=True,
                timeout=TIMEOUT,
            ) as response,
        ):
            _check_status(service, response.status_code)
            return _body(response)
    except requests.Timeout:
        raise SearchFailed(f"the search service did not answer within {TIMEOUT:g} seconds") from None
    except requests.RequestException:
        raise SearchFailed("the search service can't be reached") from None


def _check_status(service: Service, status: int) -> None:
    if status in (401, 403):
        raise SearchFailed(f"the search service answered {status}: {service.refusal}")
    if status in (402, 429):
        raise SearchFailed(f"the search service answered {status}: it was asked too often; try again later")
    if 300 <= status < 400:
        raise SearchFailed(f"the search service answered {status}: it is at another address than the one that is set")
    if status >= 400:
        raise SearchFailed(f"the search service answered {status}")


def _body(response: requests.Response) -> bytes:
    content = bytearray()
    for piece in response.iter_content(65_536):
        content += piece
        if len(content) > MAX_BYTES:
            raise SearchFailed(f"the search service answered with more than {MAX_BYTES:,} bytes")
    return bytes(content)


def _json_of(content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise SearchFailed("the search service answered with what is no JSON object")
    return answer


def duckduckgo(query: str, max_results: int) -> list[Hit]:
    """Several engines through the ddgs package; an installed duckduckgo_search, as it was once named, serves too."""
    search_engine, failure = _ddgs()
    try:
        found = search_engine(timeout=int(TIMEOUT)).text(query, max_results=max_results)
    except failure as error:
        if "No results" in str(error):
            return []
        raise SearchFailed("no search engine could be reached") from None
    return [Hit(hit.get("title") or "", hit.get("href") or "", hit.get("body") or "") for hit in found or ()]


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
