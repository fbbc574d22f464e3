"""Connection pools of `requests` that record which request uses which connection, so that it can be aborted."""

from collections.abc import Mapping
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter

from agentkit._forking import freed_by_forks
from agentkit.net.abort import record_owner


class TrackingPool:
    """A connection pool of urllib3 that records which request uses which connection."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        freed_by_forks(self.pool.mutex)  # type: ignore[attr-defined]  # also asked for when this pool is collected

    def _make_request(self, conn: Any, *args: Any, **options: Any) -> Any:
        record_owner(conn)
        return super()._make_request(conn, *args, **options)  # type: ignore[misc]


class HTTPPool(TrackingPool, urllib3.HTTPConnectionPool):
    """Connections to a server."""


class HTTPSPool(TrackingPool, urllib3.HTTPSConnectionPool):
    """Connections to a server, over TLS."""


class TrackingAdapter(HTTPAdapter):
    """An adapter of `requests` with such pools. pools: their classes, by scheme."""

    pools: Mapping[str, Any] = {"http": HTTPPool, "https": HTTPSPool}

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = dict(self.pools)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = dict(self.pools)
        return manager

    def close(self) -> None:
        """Close the connections that are not in use: urllib3 leaves that to the garbage collector."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - its container has no other iteration
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.close()
        super().close()
