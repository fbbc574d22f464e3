"""Searching the web."""

import html
import os
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from agentkit import ConfigurationError, Tool, ToolError, tool
from agentkit_tools.beside import beside
from agentkit_tools.providers import SERVICES, Hit, Provider, SearchFailed, duckduckgo, over_http
from agentkit_tools.results import MAX_QUERIES, asked, hit, left_out, no_results, shortened, told

NAMES = ("ddgs", *SERVICES)
PATIENCE = 45.0
"""Seconds after which a query that is still under way is given up, so that the others' results are told."""


def web_search(
    provider: str | None = None,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    results: int = 8,
    patience: float = PATIENCE,
) -> Tool[[list[str]], str]:
    """The tool `search`, with a provider of one's choice.

    provider: "ddgs", "searxng", "brave", "serper" or "tavily"; None lets the environment choose at each call:
    AGENTKIT_SEARCH, or the first of SEARXNG_URL, BRAVE_API_KEY, SERPER_API_KEY and TAVILY_API_KEY that is set, or
    ddgs, which needs no key. api_key, base_url: instead of the environment's. results: hits for each query.
    patience: seconds for a query.

    Raises ConfigurationError when the provider is unknown, or its key or address is missing.
    """
    fixed = _provider(provider, api_key, base_url, os.environ) if provider else None

    @tool(read_only=True, timeout=patience + 15)
    def search(query: list[str]) -> str:
        """Search the web. Gives title, address and a snippet of each page found; read the pages with visit.

        Args:
            query: What to search for; several queries are searched at once.
        """
        queries = asked(query)
        searched = queries[:MAX_QUERIES]
        ask = fixed or _from_environment(api_key, base_url)
        found = beside(lambda each: ask(each, results), searched, patience)
        reasons = list(dict.fromkeys(_reason(each) for each in found if isinstance(each, Exception)))
        if all(isinstance(each, Exception) for each in found):
            raise ToolError(f"the search failed: {'; '.join(reasons)}.")
        return _told(searched, found, left_out(len(queries), MAX_QUERIES, "queries were searched"))

    return search


def _from_environment(api_key: str | None, base_url: str | None) -> Provider:
    name = os.environ.get("AGENTKIT_SEARCH", "").strip().lower() or _first_set(os.environ)
    try:
        return _provider(name, api_key, base_url, os.environ)
    except ConfigurationError as error:  # found at a call, so it is the model who must know that there is no search
        raise ToolError(f"the search is not set up: {error}.") from None


def _first_set(environment: Mapping[str, str]) -> str:
    if environment.get("SEARXNG_URL"):
        return "searxng"
    return next((name for name, service in SERVICES.items() if service.key and environment.get(service.key)), "ddgs")


def _provider(name: str, api_key: str | None, base_url: str | None, environment: Mapping[str, str]) -> Provider:
    if name == "ddgs":
        return duckduckgo
    service = SERVICES.get(name)
    if service is None:
        raise ConfigurationError(f"there is no search provider {name!r}: known are {', '.join(NAMES)}")
    address = base_url or service.url or environment.get("SEARXNG_URL")
    if not address:
        raise ConfigurationError("searching with SearXNG needs its address: set SEARXNG_URL, or give base_url=")
    key = (api_key or (environment.get(service.key, "") if service.key else "")).strip()
    if service.key and not key:
        raise ConfigurationError(f"searching with {name} needs a key: set {service.key}, or give api_key=")
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError(f"the key for {name} has characters in it that no key has")
    return over_http(service, address, key)


def _told(searched: Sequence[str], found: Sequence[list[Hit] | Exception], notes: Sequence[str]) -> str:
    """The hits of all queries, each page once, and what came of the queries without any."""
    hits: dict[str, Hit] = {}
    without = []
    for query, result in zip(searched, found, strict=True):
        if isinstance(result, Exception):
            without.append(f'(search for "{shortened(query, 100)}" failed: {_reason(result)})')
            continue
        pages = [(page, each) for each in result if (page := _page(each.url))]
        if not pages:
            without.append(no_results(query))
        for page, each in pages:
            hits.setdefault(page, each)
    blocks = [
        hit(number, _cleaned(each.title), _address(each.url), _cleaned(each.snippet))
        for number, each in enumerate(hits.values(), 1)
    ]
    return told(blocks, [*without, *notes])


def _reason(error: Exception) -> str:
    """A failure in words: those of the providers are written for the model, others are no business of its."""
    if isinstance(error, SearchFailed | ConfigurationError | TimeoutError):
        return str(error)
    return "the search service answered in an unknown form"


def _address(url: str) -> str:
    return url.strip().replace(" ", "%20")


def _page(url: str) -> str:
    """What tells whether two hits are one page: the URL without scheme, `www.`, the scheme's port, fragment and the
    slash at its end. Empty for what is no address of a web page."""
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
    """A title or snippet without markup."""
    return html.unescape(re.sub(r"<(?:/?[A-Za-z]|!)[^<>]{0,300}>", "", text[:10_000]))


search = web_search()
