"""A chat service in front of a scripted model server, which the tests of a module share: each sets its own script."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentkit.serving.http.keys import Keys
from tests.support.http_service import Service, serve_http, settings_for
from tests.support.model_server import Answer, Asked, ModelServer, serve, whole

_running: dict[Any, tuple[Service, ModelServer]] = {}
_open = ExitStack()


@contextmanager
def agent(
    folder: Path, script: Sequence[Answer] | Callable[[Asked], Answer], **settings: Any
) -> Iterator[tuple[Service, ModelServer]]:
    """The service with these settings, and its model server with this script. folder: where the first of them has its
    files."""
    key = tuple(sorted(settings.items()))
    if key not in _running:
        server = _open.enter_context(serve([whole("Hi")]))
        _running[key] = _open.enter_context(serve_http(settings_for(folder, server.url, **settings))), server
    service, server = _running[key]
    server.requests.clear()
    server._answers = script
    yield service, server


def close_agents() -> None:
    """Stop all of them."""
    _running.clear()
    _open.close()


def somebody(service: Service, folder: Path) -> Service:
    """The service, for a caller who has not asked it anything before. folder: where its files are."""
    keys = Keys(folder / "keys.json")
    return replace(service, key=keys.add(f"caller{len(keys.names())}"))
