"""Addresses that a server names, beside the one at which it is reached."""

import contextlib
from urllib.parse import SplitResult, urljoin, urlsplit

from agentkit._text import cut, without_credentials


def joined(base: str, location: str) -> str | None:
    """The URL to which a server points; None when it is none."""
    with contextlib.suppress(UnicodeError):
        location = location.encode("latin-1").decode("utf-8")
    try:
        target = urljoin(base, location.strip().replace(" ", "%20"))
        urlsplit(target).port  # noqa: B018 - raises ValueError
    except ValueError:
        return None
    return target


def is_same_server(base: str, target: str) -> bool:
    """Whether what authorizes requests to one URL may be sent to another: the same scheme, host and port."""
    return _origin(urlsplit(base)) == _origin(urlsplit(target))


def redirected(base: str, location: str) -> str | None:
    """The URL of a redirect that stays at the server, over TLS where either of the two is; None for another.

    Servers behind a proxy that ends TLS redirect to HTTP, since they don't know better.
    """
    target = joined(base, location)
    if target is None:
        return None
    before, after = urlsplit(base), urlsplit(target)
    if before.scheme == after.scheme or before.hostname != after.hostname:
        return target if is_same_server(base, target) else None
    if before.scheme == "https":
        is_same = after.scheme == "http" and after.port in (None, 80, before.port)
        return after._replace(scheme="https", netloc=before.netloc.rpartition("@")[2]).geturl() if is_same else None
    return target if after.scheme == "https" and before.port in (None, 80) and after.port in (None, 443) else None


def shown_location(location: str) -> str:
    """The target of a redirect, for a message."""
    return cut(without_credentials(location).partition("?")[0], 200)


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
