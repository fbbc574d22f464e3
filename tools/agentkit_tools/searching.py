"""Searching the web."""

import html
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from agentkit import ConfigurationError, Tool, ToolError, tool
from agentkit_tools.beside import beside
from agentkit_tools.providers import SERVICES, Hit, Provider, SearchFailed, duckduckgo, over_http

MOST_QUERIES = 8
NAMES = ("ddgs", *SERVICES)


def web_search(
    provider: str | None = None,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    results: int = 8,
) -> Tool[[list[str]], str]:
    """The tool `search`, with a provider of one's choice.

    provider: "ddgs", "searxng", "brave", "serper" or "tavily"; None lets the environment choose at each call:
    AGENTKIT_SEARCH, or the first of SEARXNG_URL, BRAVE_API_KEY, SERPER_API_KEY and TAVILY_API_KEY that is set, or
    ddgs, which needs no key. api_key, base_url: instead of the environment's. results: hits for each query.

    Raises ConfigurationError when the provider is unknown, or its key or address is missing.
    """
    fixed = _provider(provider, api_key, base_url, os.environ) if provider else None

    @tool(read_only=True, timeout=60)
    def search(query: list[str]) -> str:
        """Search the web. Gives title, address and a snippet of each page found; read the pages with visit.

        Args:
            query: What to search for; several queries are searched at once.
        """
        asked = list(dict.fromkeys(" ".join(each.split()) for each in query if each.strip()))
        if not asked:
            raise ToolError("query is empty: give at least one thing to search for.")
        ask = fixed or _from_environment(api_key, base_url)
        found = beside(lambda each: ask(each, results), asked[:MOST_QUERIES])
        if all(isinstance(each, Exception) for each in found):
            raise ToolError(f"the search failed: {_reason(found[0])}.")
        return _told(asked, found)

    return search


def _from_environment(api_key: str | None, base_url: str | None) -> Provider:
    name = os.environ.get("AGENTKIT_SEARCH") or _first_set(os.environ)
    return _provider(name, api_key, base_url, os.environ)


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
    key = api_key or (environment.get(service.key, "") if service.key else "")
    if service.key and not key:
        raise ConfigurationError(f"searching with {name} needs a key: set {service.key}, or give api_key=")
    return over_http(service, address, key)


def _told(asked: Sequence[str], found: Sequence[list[Hit] | Exception]) -> str:
    """The hits of all queries, each page once, and what came of the queries without any."""
    hits: dict[str, Hit] = {}
    notes = []
    for query, result in zip(asked, found, strict=False):
        if isinstance(result, Exception):
            notes.append(f'(search for "{query}" failed: {_reason(result)})')
            continue
        if not result:
            notes.append(f'(no results for "{query}")')
        for hit in result:
            if hit.url.startswith(("http://", "https://")):
                hits.setdefault(_normalised(hit.url), hit)
    if len(asked) > MOST_QUERIES:
        notes.append(f"(only the first {MOST_QUERIES} of {len(asked)} queries were searched)")
    blocks = [
        f"[{number}] {_cleaned(hit.title) or hit.url}\nsource: {hit.url}\n{_cleaned(hit.snippet)}".rstrip()
        for number, hit in enumerate(hits.values(), 1)
    ]
    return "\n\n".join([*blocks, *(["\n".join(notes)] if notes else [])])


def _reason(error: Any) -> str:
    """A failure in words: those of the providers are written for the model, others are no business of its."""
    if isinstance(error, SearchFailed | ConfigurationError):
        return str(error)
    return "the search service answered in an unknown form"


def _normalised(url: str) -> str:
    """A URL by which to tell whether two hits are one page: without fragment, `www.` and the slash at its end."""
    parts = urlsplit(url)
    host = parts.netloc.lower().removeprefix("www.")
    return urlunsplit(("", host, parts.path.rstrip("/"), parts.query, ""))


def _cleaned(text: str) -> str:
    """A title or snippet as one line of plain text."""
    return " ".join(html.unescape(re.sub(r"<[^<>]{0,200}>", "", text)).split())


search = web_search()
