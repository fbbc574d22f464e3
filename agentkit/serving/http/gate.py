"""What is refused before the body of a request is read: foreign hosts, callers without a key, bodies that are too large
or no JSON; and HEAD, which is GET without the body of its response."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentkit._text import in_a_line
from agentkit.serving.http.auth import Authenticator
from agentkit.serving.http.errors import response_of

SUBJECT = "agentkit.subject"
"""The authenticated subject of a request, in its scope."""

SOCKET = "agentkit.socket"
"""The connection of a WebSocket, in the state of its scope."""

OVERLOADED = "agentkit.overloaded"
"""Why a request can't be taken, in the state of its scope; set by the server that received it."""

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
PUBLIC = ("/api/llm/health",)
BODILESS = ("GET", "HEAD", "OPTIONS", "DELETE")


@dataclass
class Refusal(Exception):
    """Why a request is refused. headers: of the response."""

    status: int
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Gate:
    """Lets a request through whose head is acceptable. max_body: largest body in bytes. origins: of the web pages that
    may open WebSockets, beside those of the service itself."""

    def __init__(
        self, app: ASGIApp, authenticator: Authenticator, max_body: int, origins: Collection[str] = ()
    ) -> None:
        self._origins = origins
        self._app = app
        self._authenticator = authenticator
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._open_socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check_server(scope)
            if is_protected(scope["path"]):
                scope[SUBJECT] = await subject(self._authenticator, scope)
            self._check_body(scope)
        except Refusal as refusal:
            await response_of(scope["path"], refusal.status, refusal.detail, refusal.headers)(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            await self._app({**scope, "method": "GET"}, receive, _without_body(send))
        else:
            await self._app(scope, self._limited(receive), send)

    async def _open_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check_server(scope)
            self._check_origin(scope)
        except Refusal as refusal:
            await response_of(scope["path"], refusal.status, refusal.detail, refusal.headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_origin(self, scope: Scope) -> None:
        """Browsers let any page open a WebSocket to any host, and only say which page it is."""
        headers = Headers(scope=scope)
        origin = headers.get("origin", "").rstrip("/").lower()
        own = headers.get("host", "").lower()
        if origin and origin.partition("://")[2] != own and not {"*", origin} & set(self._origins):
            raise Refusal(
                403,
                f"pages of {in_a_line(origin, 80)!r} may not open WebSockets here: AGENTKIT_CORS lists those that may",
            )

    def _check_server(self, scope: Scope) -> None:
        overloaded = scope.get("state", {}).get(OVERLOADED)
        if overloaded and scope["path"] != "/livez":
            raise Refusal(503, overloaded)
        if self._authenticator.is_open:  # otherwise any web page could reach it (DNS rebinding)
            host = Headers(scope=scope).get("host", "")
            if _name(host) not in LOCAL_HOSTS:
                raise Refusal(
                    400,
                    f"the host {in_a_line(host, 80)!r} is not known: a service without authentication answers for "
                    "localhost only; create an API key (agentkit serve keys add NAME)",
                )

    def _check_body(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if len(length) > 15 or (length.isdecimal() and int(length) > self._max_body):
            raise self._too_large()
        has_body = length != "0" or "transfer-encoding" in headers
        if scope["method"] in BODILESS or not has_body or not is_protected(scope["path"]):
            return
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
            raise Refusal(
                415,
                f"the body has the Content-Type {in_a_line(kind, 80) or '(none)'}: send JSON with the header "
                "Content-Type: application/json",
            )
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity":
            raise Refusal(415, f"the Content-Encoding {in_a_line(encoding, 80)} is not supported: send plain JSON")

    def _limited(self, receive: Receive) -> Receive:
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


def is_protected(path: str) -> bool:
    """Whether a path is part of the API, which only authenticated callers may use."""
    return (path.startswith(("/api/", "/v1/")) or path == "/metrics") and path not in PUBLIC


async def subject(authenticator: Authenticator, scope: Scope) -> str:
    """Return the authenticated subject of a request. Raises Refusal."""
    token = Headers(scope=scope).get("authorization")
    is_remote = authenticator.is_remote
    found = await run_in_threadpool(authenticator.subject, token) if is_remote else authenticator.subject(token)
    if found is None:
        raise Refusal(401, "Could not validate credentials", {"WWW-Authenticate": "Bearer"})
    return found


def _name(host: str) -> str | None:
    """The host of a Host header, without its port; None when it is not valid."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # a ValueError for one that is none
    except ValueError:
        return None
    return parts.hostname if parts.netloc == host and "@" not in host else None


def _without_body(send: Send) -> Send:
    async def sent(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return sent
