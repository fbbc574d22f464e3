"""Connections to an address that was checked, whatever DNS says later, whose responses are read in bounded pieces."""

import socket
from collections.abc import Callable
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from agentkit.net.bounded import BoundedResponse
from agentkit.net.outgoing import REQUESTS, authorities
from agentkit.net.url_guard import PORTS

Dial = Callable[[], socket.socket]
"""Connects to the checked address."""


class PinnedSession(requests.Session):
    """A session for one request that ignores proxies of the environment and does not follow redirects. It trusts the CA
    certificates that the environment names."""

    def __init__(self, dial: Dial) -> None:
        super().__init__()
        self.trust_env = False  # a proxy would redirect the request, a .netrc would add a password
        trusted = authorities(REQUESTS)
        self.verify = trusted[1] if trusted else True
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
