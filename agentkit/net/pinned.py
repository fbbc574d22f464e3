"""Connections to an address that was checked, whatever DNS says later, whose responses are read in bounded pieces."""

import http.client
import io
import socket
from collections.abc import Callable
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from agentkit.net.url_guard import PORTS

CHUNK_BYTES = 65_536
"""Maximum number of bytes decompressed at a time."""
Dial = Callable[[], socket.socket]
"""Connects to the checked address."""


class PinnedSession(requests.Session):
    """A session for one request that ignores proxies of the environment and does not follow redirects."""

    def __init__(self, dial: Dial) -> None:
        super().__init__()
        self.trust_env = False  # a proxy would redirect the request, a .netrc would add a password
        for scheme in PORTS:
            self.mount(f"{scheme}://", _PinnedAdapter(dial))

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return None: for a redirect, requests would read the whole body, however long, even without following it."""
        return None


class _PinnedAdapter(HTTPAdapter):
    """Pins each new connection to the checked addresses; Host, SNI and certificate check use the host name.

    It patches connection instances instead of using its own class, so that vcrpy, which replaces the classes, can
    record them.
    """

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        super().__init__(max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        dial = self._dial

        class Pool(urllib3.HTTPConnectionPool):
            def _new_conn(self) -> Any:
                return pinned(super()._new_conn(), dial)

        class PoolTLS(urllib3.HTTPSConnectionPool):
            def _new_conn(self) -> Any:
                return pinned(super()._new_conn(), dial)

        self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": PoolTLS}


def pinned(connection: Any, dial: Dial) -> Any:
    """Patch a connection to connect without DNS and to read its response in bounded chunks; return it."""
    connection._new_conn = dial
    connection.response_class = BoundedResponse
    return connection


class BoundedResponse(http.client.HTTPResponse):
    """A response that is only read in chunks of a bounded size."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = _Bounded(self.fp.detach())


class _Bounded(io.BufferedReader):
    """A reader with bounded lines that refuses to read to the end.

    Otherwise an HTTP chunk with the length -1 would be read to the end into memory, past the size limit.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise OSError("a chunk of unknown length")
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        return super().readline(CHUNK_BYTES + 1 if size is None or size < 0 else size)
