"""Serving under a path of a reverse proxy, whether it removes the path from its requests or not."""

from urllib.parse import urlsplit

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGES = ("/", "/docs", "/openapi.json", "/livez", "/readyz", "/metrics")
TREES = ("/api/", "/v1/", "/static/")


class RootPath:
    """Removes `root` from the paths of requests, where a path of the service is left; outermost, so that all others
    see the service's own paths.

    A request for `root` itself is redirected to `root/`, to which the links of the page are relative. Redirections get
    the path in front of theirs.
    """

    def __init__(self, app: ASGIApp, root: str) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path == self._root and scope["type"] == "http":
            query = scope.get("query_string", b"").decode("latin-1")
            await RedirectResponse(f"{self._root}/{f'?{query}' if query else ''}")(scope, receive, send)
            return
        rest = path.removeprefix(self._root)
        if rest != path and _is_own(rest):
            raw = scope.get("raw_path") or b""
            scope = {**scope, "path": rest, "raw_path": raw.removeprefix(self._root.encode())}
        await self._app(scope, receive, self._redirecting(send))

    def _redirecting(self, send: Send) -> Send:
        async def redirecting(message: Message) -> None:
            if message["type"] == "http.response.start" and 300 <= message["status"] < 400:
                message["headers"] = [
                    (name, self._located(value) if name.lower() == b"location" else value)
                    for name, value in message["headers"]
                ]
            await send(message)

        return redirecting

    def _located(self, location: bytes) -> bytes:
        parts = urlsplit(location.decode("latin-1"))
        query = f"?{parts.query}" if parts.query else ""
        return f"{self._root}{parts.path}{query}".encode("latin-1")


def _is_own(path: str) -> bool:
    return path.rstrip("/") in PAGES or path in PAGES or path.startswith(TREES)
