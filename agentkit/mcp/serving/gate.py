"""Who may use the server over HTTP.

A web page that a user visits can make the browser send requests to this machine. It can neither send them with a Host
of this machine (DNS rebinding) nor hide its Origin, nor know the token. Pages of origins that are named may use it:
their browsers are told so (CORS).
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from agentkit._text import short_repr
from agentkit.errors import ConfigurationError, Remade
from agentkit.mcp.serving.envelope import Headers

_ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]{1,300}")
_NAMES = re.compile(r"[A-Za-z0-9, -]{1,2000}")
_EXPOSED = "Mcp-Session-Id, WWW-Authenticate"

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Denied(Remade, Exception):
    """Why a request is not answered. status: of the response."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Gate:
    """Lets requests in. host: on which the server listens. token: what they have to bring; None: nothing. origins: of
    the web pages that may use it, such as "http://localhost:6274". Raises ConfigurationError for a host that needs a
    token, and for what is no origin."""

    def __init__(self, host: str, token: str | None, origins: Iterable[str] = ()) -> None:
        self._origins = frozenset(map(_checked_origin, origins))
        if token is None and host not in LOOPBACK:
            raise ConfigurationError(
                f"without a token every client that can reach {host} could call these tools: give one (--token-file "
                "FILE), or listen on 127.0.0.1"
            )
        if token is not None and not token.strip():
            raise ConfigurationError("the token is empty")
        self._digest = None if token is None else _digest(token.strip())

    def check(self, headers: Headers) -> None:
        """Raise Denied for a request that is not let in."""
        self.check_page(headers)
        if self._digest is not None and not self._knows(headers.get("authorization", "")):
            raise Denied(401, "this server needs a token: Authorization: Bearer TOKEN")

    def check_page(self, headers: Headers) -> None:
        """Raise Denied for a request that a web page of another origin may have made."""
        host, origin = _host_of(headers.get("host", "")), headers.get("origin")
        if self._digest is None and host not in LOOPBACK:  # a page that is sent to this machine does not know the token
            raise Denied(403, "this server answers requests to localhost alone (the header Host)")
        if origin is not None and origin.lower() not in self._origins and not _is_own(origin, host):
            raise Denied(403, "this server answers no web page of another host (the header Origin)")

    def shown_to(self, headers: Headers) -> Mapping[str, str]:
        """What tells a browser that the page may read the response; nothing for a page that is not named."""
        origin = headers.get("origin", "")
        if origin.lower() not in self._origins:
            return {}
        return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": _EXPOSED, "Vary": "Origin"}

    def allowed_to(self, headers: Headers) -> Mapping[str, str]:
        """What tells a browser that asks before (a preflight) that the page may send its request."""
        asked = headers.get("access-control-request-headers", "")
        named = {"Access-Control-Allow-Headers": asked} if _NAMES.fullmatch(asked) else {}
        if headers.get("access-control-request-private-network") == "true":
            named["Access-Control-Allow-Private-Network"] = "true"
        return {"Access-Control-Allow-Methods": "POST, GET, DELETE", "Access-Control-Max-Age": "600", **named}

    def _knows(self, given: str) -> bool:
        scheme, _, token = given.partition(" ")
        return hmac.compare_digest(_digest(token.strip()), self._digest or b"") and scheme.lower() == "bearer"


def _checked_origin(origin: str) -> str:
    found = origin.strip().rstrip("/").lower()
    if not _ORIGIN.fullmatch(found):
        raise ConfigurationError(
            f"{short_repr(origin)} is not the origin of a web page: write its scheme and host, such as "
            "http://localhost:6274"
        )
    return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _host_of(netloc: str) -> str:
    """The host of a Host header; "" for what is none."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def _is_own(origin: str, host: str) -> bool:
    """Whether a web page is of this machine, or of the host that the request was sent to."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.hostname in (*LOOPBACK, host)
