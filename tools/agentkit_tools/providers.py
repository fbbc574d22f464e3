"""Search services: each is described by a few properties of its HTTP API; one function sends the requests to all.

Sources: the services' API references (SearXNG /search?format=json; Brave Web Search; Serper; Tavily Search).
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import requests

from agentkit_tools.results import shortened

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
    page: meaning of a web page instead of JSON.
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
    page: str = "check its address"


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
        page="json has to be among the formats enabled in its settings (search.formats); check its address too",
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
        answer = _json_of(
            service, _response_body(service, base_url.rstrip("/") + service.path, key, query, max_results)
        )
        try:
            found = service.results(answer)
        except (AttributeError, KeyError, TypeError):
            raise SearchFailed("the search service returned a response in an unknown format") from None
        if not found:
            _check_failure(answer, key)
        return hits_of(found, service.fields)[:max_results]

    return search


def hits_of(found: Any, fields: tuple[str, str, str]) -> list[Hit]:
    """Returns the hits in a list of objects. Raises SearchFailed when it is something else: that is no empty result."""
    if found is None:
        return []
    if not isinstance(found, list | tuple):
        raise SearchFailed(f"the search service returned its results as a {type(found).__name__} instead of a list")
    entries = [each for each in found if isinstance(each, dict)]
    hits = [Hit(*(_text(each.get(name)) for name in fields)) for each in entries]
    if found and not any(hit.url for hit in hits):
        raise SearchFailed(f"the search service returned {len(found):,} results, none of them with an address")
    return [hit for hit in hits if hit.url]


def _text(value: Any) -> str:
    """Returns a field of a hit as a text: of a list its parts, and nothing for what is no text."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return " ".join(filter(None, map(_text, value[:20])))
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _check_failure(answer: dict[str, Any], key: str) -> None:
    """Raises SearchFailed when a response without results says why it has none: an error, or, from SearXNG, engines
    that did not answer."""
    if reported := _reported(answer, key):
        raise SearchFailed(f"the search service reports an error: {reported}")
    if silent := list(_silent_engines(answer.get("unresponsive_engines"))):
        raise SearchFailed(
            "the search service found nothing, and these engines did not answer it: "
            f"{shortened(', '.join(silent), 300)}; try again later, or with other engines enabled in its settings"
        )


def _silent_engines(listed: Any) -> Iterator[str]:
    """Yields the engines that SearXNG could not use, each with the reason."""
    entries = listed.items() if isinstance(listed, dict) else listed if isinstance(listed, list) else ()
    for each in entries:
        name, *reasons = each if isinstance(each, list | tuple) and each else [each]
        if isinstance(each, dict):
            name, reasons = each.get("engine") or each.get("name"), [each.get("error") or each.get("reason")]
        reason = _text(reasons)
        if label := _text(name):
            yield f"{label} ({reason})" if reason else label


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
            content = _body(response)
            _check_status(service, response, content, key)
            return content
    except requests.Timeout:
        raise SearchFailed(f"the search service did not respond within {TIMEOUT:g} seconds") from None
    except OSError as error:  # requests' own are OSErrors; those of CA certificates are not always among them
        raise SearchFailed(_connection_problem(error)) from None


def _connection_problem(error: OSError) -> str:
    if isinstance(error, requests.exceptions.ProxyError | requests.exceptions.InvalidProxyURL) or "SOCKS" in str(error):
        return (
            "the search service can't be reached through the proxy that the environment names (HTTP_PROXY, "
            "HTTPS_PROXY, ALL_PROXY): correct it, or add the host of the service to NO_PROXY"
        )
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return "the address of the search service is not a URL: write http://host:port"
    if not isinstance(error, requests.RequestException):
        return f"the search service can't be reached: {shortened(str(error), 200)} (REQUESTS_CA_BUNDLE, SSLKEYLOGFILE)"
    return "the search service can't be reached"


def _check_status(service: Service, response: requests.Response, content: bytes, key: str) -> None:
    """Raises SearchFailed for an error status, with what the service says about it."""
    status = response.status_code
    if status < 300:
        return
    begin = f"the search service answered {status}"
    if status < 400:
        raise SearchFailed(f"{begin}: it redirects to another address than configured")
    reported = _reported(_parsed(content), key)
    says = f" ({reported})" if reported else ""
    if status != 429 and (status in (402, 432, 433) or _CREDITS.search(reported)):
        raise SearchFailed(f"{begin}: the credits of its account are used up{says}; use another provider until then")
    if status == 429:
        wait = response.headers.get("Retry-After", "")
        when = f"in {wait} seconds" if wait.isdecimal() and len(wait) < 6 else "later"
        raise SearchFailed(f"{begin}: too many requests; try again {when}{says}")
    if status in (401, 403):
        raise SearchFailed(f"{begin}: {service.refusal}{says}")
    raise SearchFailed(f"{begin}{says}")


_CREDITS = re.compile(r"credit|quota|usage limit|billing|balance|payment|subscription plan", re.IGNORECASE)


def _reported(answer: Any, key: str) -> str:
    """Returns the error message in a response, on one line and without the key; empty when there is none."""
    for name in ("error", "message", "detail", "errors"):
        value = answer.get(name) if isinstance(answer, dict) else None
        if isinstance(value, list) and value:
            value = value[0]
        text = _reported(value, key) if isinstance(value, dict) else _text(value)
        if text and key in text and key:
            text = text.replace(key, "(key)") if len(key) >= 8 else ""
        if text:
            return shortened(text, 200)
    return ""


def _body(response: requests.Response) -> bytes:
    content = bytearray()
    for chunk in response.iter_content(65_536):
        content += chunk
        if len(content) > MAX_BYTES:
            raise SearchFailed(f"the response of the search service is larger than {MAX_BYTES:,} bytes")
    return bytes(content)


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _json_of(service: Service, content: bytes) -> dict[str, Any]:
    answer = _parsed(content)
    if isinstance(answer, dict):
        return answer
    if content.lstrip()[:1] == b"<":
        raise SearchFailed(f"the response of the search service is not a JSON object but a web page: {service.page}")
    raise SearchFailed("the response of the search service is not a JSON object")
