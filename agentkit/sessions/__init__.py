"""The stores of sessions: `from agentkit.sessions import SQLiteSessions`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentkit.session import MemorySessions as MemorySessions
    from agentkit.sessions.redis import RedisSessions as RedisSessions
    from agentkit.sessions.sqlite import SQLiteSessions as SQLiteSessions

_ROOMS = {
    "MemorySessions": "agentkit.session",
    "RedisSessions": "agentkit.sessions.redis",
    "SQLiteSessions": "agentkit.sessions.sqlite",
}

__all__ = ["MemorySessions", "RedisSessions", "SQLiteSessions"]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'agentkit.sessions' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_ROOMS[name]), name)
