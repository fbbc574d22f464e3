"""Serving under a path of a reverse proxy, whether it removes the path from its requests or not."""

from urllib.parse import urlsplit

from starlette.responses import RedirectResponse
from starlette.types import Message, Scope

PAGES = ("/", "/docs", "/openapi.json", "/livez", "/readyz", "/metrics")
TREES = ("/api/", "/v1/", "/static/")


class RootPath:
    """The path `root`, "" for none: it is removed from the paths of requests, where a path of the service is left.

    A request for `root` itself is redirected to `root/`, to which the links of the page are relative. Redirections get
    the path in front of theirs, and name no scheme or host: those that the service sees are not those of the client,
    where a proxy that does not tell them is before it.
    """

    def __init__(self, root: str) -> None:
        self._root = root

    def redirection(self, scope: Scope) -> RedirectResponse | None:
        """The response to a request for `root` itself, as the service gives it; None for another request."""
        if not self._root or scope["path"] != self._root or scope["type"] != "http":
            return None
        query = scope.get("query_string", b"").decode("latin-1")
        return RedirectResponse(f"/?{query}" if query else "/")

    def within(self, scope: Scope) -> Scope:
        """The scope of a request as the service sees it."""
        path: str = scope["path"]
        if not self._root:
            return scope
        rest = path.removeprefix(self._root)
        if rest == path or not _is_own(rest):
            return scope
        raw = scope.get("raw_path") or b""
        return {**scope, "path": rest, "raw_path": raw.removeprefix(self._root.encode())}

    def redirect(self, message: Message) -> None:
        """Put `root` in front of the path in the beginning of a response, if that is a redirection."""
        if 300 <= message["status"] < 400:
            message["headers"] = [
                (name, self._located(value) if name.lower() == b"location" else value)
                for name, value in message["headers"]
            ]

    def _located(self, location: bytes) -> bytes:
        parts = urlsplit(location.decode("latin-1"))
        query = f"?{parts.query}" if parts.query else ""
        path = parts.path.lstrip("/")  # two slashes would begin the name of a host
        return f"{self._root}/{path}{query}".encode("latin-1")


def _is_own(path: str) -> bool:
    return path.rstrip("/") in PAGES or path in PAGES or path.startswith(TREES)
