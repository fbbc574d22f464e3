"""Searches the web: the tool `search`."""

import html
import os
import re
from collections.abc import Mapping, Sequence
from pickle import PicklingError
from typing import Annotated, Any
from urllib.parse import urlsplit

from agentkit import ConfigurationError, Context, Tool, ToolError, tool
from agentkit_tools.engines import duckduckgo
from agentkit_tools.parallel import in_parallel
from agentkit_tools.providers import SERVICES, Hit, Provider, SearchFailed, over_http
from agentkit_tools.reader_process import NO_RUN, numbering
from agentkit_tools.results import MAX_QUERIES, checked_queries, combined, hit, no_results, over_limit, shortened

NAMES = ("ddgs", *SERVICES)
DESCRIPTION = "Search the web. Returns title, address and a snippet of each page found; read the pages with visit."
PATIENCE = 45.0
"""Seconds after which a running query is abandoned, so that the results of the others are returned."""


def web_search(
    provider: str | None = None,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    results: int = 8,
    patience: float = PATIENCE,
) -> Tool[[list[str]], str]:
    """Returns the tool `search` with the given provider.

    provider: "ddgs", "searxng", "brave", "serper" or "tavily"; None reads it from the environment at each call:
    AGENTKIT_SEARCH, else the first of SEARXNG_URL, BRAVE_API_KEY, SERPER_API_KEY and TAVILY_API_KEY that is set, else
    ddgs, which needs no key. api_key, base_url: override the environment. results: maximum number of hits per query.
    patience: timeout of a query in seconds.

    Raises ConfigurationError when the provider is unknown, or its key or address is missing.
    """
    make = tool(read_only=True, timeout=patience + 15, description=DESCRIPTION)
    return make(_Search(provider, api_key, base_url, results, patience).search)


class _Search:
    """The parameters of `web_search`, and the function that the model calls."""

    def __init__(
        self, provider: str | None, api_key: str | None, base_url: str | None, results: int, patience: float
    ) -> None:
        self._arguments = (provider, api_key, base_url, results, patience)
        self._fixed = _provider(provider, api_key, base_url, os.environ) if provider else None

    def search(
        self,
        query: Annotated[list[str], "Search queries; several are searched in parallel."],
        context: Context = NO_RUN,
    ) -> str:
        """The tool `search`."""
        _, api_key, base_url, results, patience = self._arguments
        queries = checked_queries(query)
        searched = queries[:MAX_QUERIES]
        provider = self._fixed or _from_environment(api_key, base_url)
        found = in_parallel(lambda each: provider(each, results), searched, patience)
        reasons = list(dict.fromkeys(_reason(each) for each in found if isinstance(each, Exception)))
        if all(isinstance(each, Exception) for each in found):
            raise ToolError(f"the search failed: {'; '.join(reasons)}.")
        notes = over_limit(len(queries), MAX_QUERIES, "queries were searched")
        return _combined(searched, found, notes, numbering(context))

    def __reduce__(self) -> tuple[Any, ...]:
        """A key from the environment is read again where it is loaded."""
        if self._arguments[1] is not None:
            raise PicklingError("it holds an API key: set the key in the environment instead")
        return _Search, self._arguments

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Search":
        return self


def _from_environment(api_key: str | None, base_url: str | None) -> Provider:
    name = os.environ.get("AGENTKIT_SEARCH", "").strip().lower() or _first_set(os.environ)
    try:
        return _provider(name, api_key, base_url, os.environ)
    except ConfigurationError as error:  # raised during a call, so the model has to know that search is unavailable
        raise ToolError(f"search is not configured: {error}.") from None


def _first_set(environment: Mapping[str, str]) -> str:
    if environment.get("SEARXNG_URL"):
        return "searxng"
    return next((name for name, service in SERVICES.items() if service.key and environment.get(service.key)), "ddgs")


def _provider(name: str, api_key: str | None, base_url: str | None, environment: Mapping[str, str]) -> Provider:
    if name == "ddgs":
        return duckduckgo
    service = SERVICES.get(name)
    if service is None:
        raise ConfigurationError(f"unknown search provider {name!r}: use one of {', '.join(NAMES)}")
    address = base_url or service.url or environment.get("SEARXNG_URL")
    if not address:
        raise ConfigurationError("searching with SearXNG needs its address: set SEARXNG_URL, or pass base_url=")
    key = (api_key or (environment.get(service.key, "") if service.key else "")).strip()
    if service.key and not key:
        raise ConfigurationError(f"searching with {name} needs a key: set {service.key}, or pass api_key=")
    if not (key.isascii() and key.isprintable()) or re.search(r"[\s\"'`]", key):
        raise ConfigurationError(f"the key for {name} contains characters that are not allowed in a key")
    return over_http(service, address, key)


def _combined(
    searched: Sequence[str], found: Sequence[list[Hit] | Exception], notes: Sequence[str], context: Context
) -> str:
    """Returns the hits of all queries, each page once, with notes on the queries that failed or found nothing."""
    hits: dict[str, Hit] = {}
    without = []
    for query, result in zip(searched, found, strict=True):
        if isinstance(result, Exception):
            without.append(f'(search for "{shortened(query, 100)}" failed: {_reason(result)})')
            continue
        pages = [(page, each) for each in result if (page := _page(each.url))]
        if not pages:
            without.append(_without_pages(query) if result else no_results(query))
        for page, each in pages:
            hits.setdefault(page, each)
    return combined([_block(each, context) for each in hits.values()], [*without, *notes])


def _block(found: Hit, context: Context) -> str:
    title, address, snippet = _cleaned(found.title), _address(found.url), _cleaned(found.snippet)
    return hit(context.source(address, title, snippet, read=False), title, address, snippet)


def _without_pages(query: str) -> str:
    return f'(search for "{shortened(query, 100)}" failed: none of the results has the address of a web page)'


def _reason(error: Exception) -> str:
    """Returns the message of an error. Those of the providers are written for the model; others are hidden from it."""
    if isinstance(error, SearchFailed | ConfigurationError | TimeoutError):
        return str(error)
    return "the search service returned a response in an unknown format"


def _address(url: str) -> str:
    return url.strip().replace(" ", "%20")


def _page(url: str) -> str:
    """Returns the key by which hits of the same page are recognised: the URL without scheme, `www.`, default port,
    fragment and trailing slash. Empty for a text that is not the address of a web page."""
    address = _address(url)
    if len(address) > 2_000 or not address.isprintable() or not re.match(r"https?://[^/]", address, re.IGNORECASE):
        return ""
    try:
        parts = urlsplit(address)
        port = "" if parts.port in (None, 80, 443) else f":{parts.port}"
    except ValueError:
        return ""
    query = f"?{parts.query}" if parts.query else ""
    return f"{(parts.hostname or '').removeprefix('www.')}{port}{parts.path.rstrip('/')}{query}"


def _cleaned(text: str) -> str:
    """Removes the markup from a title or snippet."""
    return html.unescape(re.sub(r"<(?:/?[A-Za-z]|!)[^<>]{0,300}>", "", text[:10_000]))


search = web_search()
