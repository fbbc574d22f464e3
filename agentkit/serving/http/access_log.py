"""The access log: a line for each request, in uvicorn's form, without what may be secret."""

import logging
import re
from typing import Any
from urllib.parse import quote

from starlette.types import Message, Scope

from agentkit._lazy.lines import lines_alone

logger = logging.getLogger("agentkit.access")
refusals = logging.getLogger("agentkit.access.refused")

REFUSED = (401, 403, 429, 503)
"""What anybody can cause without end: the log leaves most of it out."""

MAX_PATH = 300
"""Characters of a path that are logged."""

_PLAIN = re.compile(r"[a-zA-Z0-9/._-]*")
"""What is logged as it is, without being quoted."""


def log(scope: Scope, message: Message) -> None:
    """Log a request when its response begins: client, method, path, status. The query is left out, since clients may
    send keys in it; so is what no service needs of a long path. message: what is sent to the client."""
    kind = message["type"]
    if kind in ("http.response.start", "websocket.http.response.start"):
        _log(scope, message["status"])
    elif kind == "websocket.accept":
        _log(scope, "[accepted]")


def _log(scope: Scope, status: int | str) -> None:
    to = refusals if status in REFUSED else logger
    if not to.isEnabledFor(logging.INFO):
        return
    client, request = _client(scope), _request(scope)
    lines = lines_alone(to)
    if lines is None or not lines.write_info(f'{client} - "{request}" {status}'):
        to.info('%s - "%s" %s', client, request, status)


def _client(scope: Scope) -> str:
    client: Any = scope.get("client")
    return f"{client[0]}:{client[1]}" if client else "-"


def _request(scope: Scope) -> str:
    path = scope["path"] if _PLAIN.fullmatch(scope["path"]) else quote(scope["path"], safe="/:@!$&'()*+,;=~-._")
    if scope["type"] == "websocket":
        return f"WebSocket {path[:MAX_PATH]}"
    method = scope["method"] if scope["method"].isalpha() and scope["method"].isascii() else quote(scope["method"])
    return f"{method[:20]} {path[:MAX_PATH]} HTTP/{scope['http_version']}"
