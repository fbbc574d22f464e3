"""What is refused before the body of a request is read: foreign hosts, callers without a key or with too many requests,
bodies that are too large or no JSON; and HEAD, which is GET without the body of its response."""

import functools
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_network
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from agentkit._text import in_a_line
from agentkit.serving.http.auth import LOCAL, Authenticator, authorizations
from agentkit.serving.http.settings import HttpSettings
from agentkit.serving.rate_limit import RateLimiter

SUBJECT = "agentkit.subject"
"""The authenticated subject of a request, in its scope."""

SOCKET = "agentkit.socket"
"""The connection of a WebSocket, in the state of its scope."""

OVERLOADED = "agentkit.overloaded"
"""Why a request can't be taken, in the state of its scope; set by the server that received it."""

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
METRICS = "/metrics"
SHARED = "/api/llm/shared"
"""Where shared conversations are read, which needs no key, but counts for the rate of the client's address."""
PUBLIC = ("/api/llm/health", SHARED)
FILES = ("/api/llm/documents/read",)
"""Where the body is a file, of whatever kind."""

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain", "")
"""What any web page may send to any host without being asked whether it may."""

BODILESS = ("GET", "HEAD", "OPTIONS", "DELETE")


@dataclass
class Refusal(Exception):
    """Why a request is refused. headers: of the response."""

    status: int
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Gate:
    """Lets a request through whose head is acceptable, and whose subject has not sent too many of late."""

    def __init__(self, settings: HttpSettings, authenticator: Authenticator, rates: RateLimiter) -> None:
        self._authenticator = authenticator
        self._rates = rates
        self._origins = settings.agentkit_cors  # of the web pages that may open WebSockets, beside the service's own
        self._max_body = settings.agentkit_max_body
        self._is_rate_set = settings.agentkit_rate is not None

    async def check(self, scope: Scope) -> None:
        """Look at the head of a request, put its subject into the scope, and count it. Raises Refusal."""
        headers = _headers(scope)
        is_open = self._authenticator.is_open
        self._check_server(scope, headers, is_open)
        if scope["type"] == "websocket":
            self._check_origin(headers)
            return
        path = path_of(scope)
        protected = is_protected(path)
        if protected:
            scope[SUBJECT] = LOCAL if is_open else await self._subject(headers)
        self._check_body(scope, headers, protected)
        if protected and path != METRICS:
            await self.check_rate(scope[SUBJECT])
        elif path == SHARED:
            await self.check_rate(address_of(scope))

    async def check_rate(self, subject: str) -> None:
        """Count a request of a subject. Raises Refusal when there were too many. A service that needs no key has one
        user, and no limit unless one is set."""
        if not self._is_rate_set and self._authenticator.is_open:
            return
        rates = self._rates
        is_allowed = await run_in_threadpool(rates.allows, subject) if rates.is_remote else rates.allows(subject)
        if not is_allowed:
            wait = await run_in_threadpool(rates.wait, subject)
            raise Refusal(429, f"rate limit exceeded; try again in {wait} seconds", {"Retry-After": str(wait)})

    async def _subject(self, headers: Mapping[bytes, str]) -> str:
        authenticator = self._authenticator
        given = authorizations(lambda name: headers.get(name.encode()))
        if authenticator.is_remote:
            found = await run_in_threadpool(authenticator.subject_of, given)
        else:
            found = authenticator.subject_of(given)
        if found is None:
            raise Refusal(401, "Could not validate credentials", {"WWW-Authenticate": "Bearer"})
        return found

    def _check_origin(self, headers: Mapping[bytes, str]) -> None:
        """Browsers let any page open a WebSocket to any host, and only say which page it is."""
        origin = headers.get(b"origin", "").rstrip("/").lower()
        own = headers.get(b"host", "").lower()
        if origin and origin.partition("://")[2] != own and not {"*", origin} & set(self._origins):
            raise Refusal(
                403,
                f"pages of {in_a_line(origin, 80)!r} may not open WebSockets here: AGENTKIT_CORS lists those that may",
            )

    def _check_server(self, scope: Scope, headers: Mapping[bytes, str], is_open: bool) -> None:
        overloaded = scope.get("state", {}).get(OVERLOADED)
        if overloaded and scope["path"] != "/livez":
            raise Refusal(503, overloaded)
        if is_open and b"host" in headers:  # browsers send it always; else any page could reach it (DNS rebinding)
            host = headers[b"host"]
            if _name(host) not in LOCAL_HOSTS:
                raise Refusal(
                    400,
                    f"the host {in_a_line(host, 80)!r} is not known: a service without authentication answers for "
                    "localhost only; create an API key (agentkit serve keys add NAME)",
                )

    def _check_body(self, scope: Scope, headers: Mapping[bytes, str], protected: bool) -> None:
        length = headers.get(b"content-length", "0")
        if len(length) > 15 or (length.isdecimal() and int(length) > self._max_body):
            raise self._too_large()
        has_body = length != "0" or b"transfer-encoding" in headers
        if scope["method"] in BODILESS or not has_body or not protected:
            return
        kind = headers.get(b"content-type", "").partition(";")[0].strip().lower()
        if path_of(scope) in FILES:
            self._check_file(kind)
        elif kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
            if not _is_there(scope):  # what is told is that, and not the form of a body that nobody reads
                return
            raise Refusal(
                415,
                f"the body has the Content-Type {in_a_line(kind, 80) or '(none)'}: send JSON with the header "
                "Content-Type: application/json",
            )
        encoding = headers.get(b"content-encoding", "identity").strip().lower()
        if encoding != "identity":
            raise Refusal(415, f"the Content-Encoding {in_a_line(encoding, 80)} is not supported: send plain JSON")

    def _check_file(self, kind: str) -> None:
        if kind in FORMS:
            raise Refusal(
                415,
                f"the body has the Content-Type {in_a_line(kind, 80) or '(none)'}: send the bytes of the file with the "
                "header Content-Type: application/octet-stream",
            )

    def limited(self, receive: Receive) -> Receive:
        """`receive`, which raises HTTPException when the body is too large."""
        size = 0

        async def limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._max_body:
                refusal = self._too_large()
                raise HTTPException(refusal.status, refusal.detail)
            return message

        return limited

    def _too_large(self) -> Refusal:
        return Refusal(413, f"the request body is larger than {self._max_body} bytes")


def path_of(scope: Scope) -> str:
    """The path of a request within the service, which may be mounted in another application."""
    path, root = str(scope["path"]), str(scope.get("root_path") or "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def is_protected(path: str) -> bool:
    """Whether a path is part of the API, which only authenticated callers may use."""
    return (path.startswith(("/api/", "/v1/")) or path == METRICS) and path not in PUBLIC


def _is_there(scope: Scope) -> bool:
    """Whether the application has a route for the path and method of a request."""
    return any(route.matches(scope)[0] is Match.FULL for route in scope["app"].routes)


def address_of(scope: Scope) -> str:
    """The name under which the requests of a client without a key are counted: its address, of IPv6 the network, in
    which one client has all addresses."""
    host = (scope.get("client") or ("",))[0]
    with suppress(ValueError):
        network = ip_network((host.partition("%")[0], 64 if ":" in host else 32), strict=False)
        host = str(network.network_address)
    return f"address:{host}"


def _headers(scope: Scope) -> dict[bytes, str]:
    """The headers of a request; of several with one name the first."""
    return {name: value.decode("latin-1") for name, value in reversed(list(scope["headers"]))}


@functools.lru_cache(100)
def _name(host: str) -> str | None:
    """The host of a Host header, without its port; None when it is not valid."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # a ValueError for one that is none
    except ValueError:
        return None
    return parts.hostname if parts.netloc == host and "@" not in host else None


def without_body(send: Send) -> Send:
    """`send` for the response to HEAD: without its body."""

    async def sent(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return sent
