"""The connections of `http.client` as they are, where vcrpy has put its own in their place too.

vcrpy replaces names in modules; what was made before, or on purpose without it, goes on with the original.
"""

import http.client
from typing import TYPE_CHECKING, Any

from agentkit._lazy.modules import loaded

if TYPE_CHECKING:
    HTTPConnection = http.client.HTTPConnection
else:
    HTTPConnection = loaded("vcr.patch", "_HTTPConnection") or http.client.HTTPConnection


def is_played(connection: Any) -> bool:
    """Whether a connection, or a class of them, is vcrpy's, which records or replays what is sent."""
    kind = loaded("vcr.stubs", "VCRConnection")
    return kind is not None and issubclass(connection if isinstance(connection, type) else type(connection), kind)


def is_recorded() -> bool:
    """Whether vcrpy stands before urllib3 now."""
    pool = loaded("urllib3.connectionpool", "HTTPConnectionPool")
    return pool is not None and is_played(pool.ConnectionCls)
