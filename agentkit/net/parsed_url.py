"""What is read from the URL of a server: by urllib3, as it is sent; usual ones are read here, so that it need not be
loaded for them."""

from typing import NamedTuple

from agentkit._lazy.patterns import pattern

_USUAL = pattern(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)*)(?::(?P<port>[1-9][0-9]{0,3}|[1-5][0-9]{4}))?"
    r"(?P<path>(?:/(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*)?)*)(?P<query>\?[A-Za-z0-9=&._~-]*)?"
)
"""URLs that urllib3 leaves as they are; others may be as usual, and are read by it."""


class ParsedUrl(NamedTuple):
    """host: with the brackets of an IPv6 address. origin: the URL without user, path and query. target: the path and
    the query, as a request has them."""

    scheme: str
    host: str
    port: int | None
    origin: str
    target: str


def parsed_url(url: str) -> ParsedUrl:
    """The parts of a URL. Raises ValueError for what is none."""
    found = _USUAL.fullmatch(url)
    if found is not None:
        scheme, host, port, path, query = found.group("scheme", "host", "port", "path", "query")
        origin = url[: found.start("path")]
        return ParsedUrl(scheme, host, int(port) if port else None, origin, (path or "/") + (query or ""))
    import urllib3  # loaded for what is not usual

    parts = urllib3.util.parse_url(url)
    origin = parts._replace(auth=None, path=None, query=None, fragment=None).url
    return ParsedUrl(parts.scheme or "", parts.host or "", parts.port, origin, parts.request_uri)
