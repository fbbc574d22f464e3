"""Search services: each is described by a few properties of its HTTP API; one function sends the requests to all.

Sources: the services' API references (SearXNG /search?format=json; Brave Web Search; Serper; Tavily Search).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from agentkit.errors import MissingExtraError

TIMEOUT = 15.0
"""Timeout of a request to a search service, in seconds."""

MAX_BYTES = 5_000_000
"""Maximum size of a response."""


@dataclass(frozen=True)
class Hit:
    """One search result."""

    title: str
    url: str
    snippet: str


class SearchFailed(Exception):
    """A search failed; the message gives the model the reason, without keys."""


Provider = Callable[[str, int], list[Hit]]
"""Takes a query and a maximum number of results, and returns hits. Raises SearchFailed."""


@dataclass(frozen=True)
class Service:
    """An HTTP search API.

    url: default base URL; None if the user must set it. path: path of the search request. key: environment variable of
    the API key. headers, parameters, body: headers, query string and JSON body of a request. results: extracts the list
    of hits from a response. fields: names of title, URL and snippet in a hit. refusal: meaning of status 401 or 403.
    """

    url: str | None
    path: str
    key: str | None
    headers: Callable[[str], dict[str, str]]
    results: Callable[[dict[str, Any]], Any]
    fields: tuple[str, str, str]
    parameters: Callable[[str, int], dict[str, Any]] | None = None
    body: Callable[[str, int], dict[str, Any]] | None = None
    refusal: str = "the API key is invalid or missing"


SERVICES = {
    "searxng": Service(
        url=None,
        path="/search",
        key=None,
        headers=lambda key: {},
        parameters=lambda query, max_results: {"q": query, "format": "json"},
        results=lambda answer: answer.get("results"),
        fields=("title", "url", "content"),
        refusal="access is denied, or json is not among the formats enabled in its settings",
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
    """Returns the provider for an HTTP service at an address set by the user, not by the model."""

    def search(query: str, max_results: int) -> list[Hit]:
        answer = _json_of(_response_body(service, base_url.rstrip("/") + service.path, key, query, max_results))
        try:
            found = service.results(answer) or []
            return [Hit(*(str(each.get(name) or "") for name in service.fields)) for each in found][:max_results]
        except (AttributeError, KeyError, TypeError):
            raise SearchFailed("the search service returned a response in an unknown format") from None

    return search


def _response_body(service: Service, url: str, key: str, query: str, max_results: int) -> bytes:
    """Sends a query and returns the body of the response. Raises SearchFailed on any HTTP or connection error."""

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
                auth=with_key if key else None,  # set last: a .netrc file would override an Authorization header
                allow_redirects=False,  # the key must not reach another server
                stream=True,
                timeout=TIMEOUT,
            ) as response,
        ):
            _check_status(service, response.status_code)
            return _body(response)
    except requests.Timeout:
        raise SearchFailed(f"the search service did not respond within {TIMEOUT:g} seconds") from None
    except requests.RequestException:
        raise SearchFailed("the search service can't be reached") from None


def _check_status(service: Service, status: int) -> None:
    if status in (401, 403):
        raise SearchFailed(f"the search service answered {status}: {service.refusal}")
    if status in (402, 429):
        raise SearchFailed(f"the search service answered {status}: too many requests; try again later")
    if 300 <= status < 400:
        raise SearchFailed(f"the search service answered {status}: it redirects to another address than configured")
    if status >= 400:
        raise SearchFailed(f"the search service answered {status}")


def _body(response: requests.Response) -> bytes:
    content = bytearray()
    for chunk in response.iter_content(65_536):
        content += chunk
        if len(content) > MAX_BYTES:
            raise SearchFailed(f"the response of the search service is larger than {MAX_BYTES:,} bytes")
    return bytes(content)


def _json_of(content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise SearchFailed("the response of the search service is not a JSON object")
    return answer


def duckduckgo(query: str, max_results: int) -> list[Hit]:
    """Searches several engines through the ddgs package, or through duckduckgo_search, its former name."""
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
