"""Stores of sessions by the names that people give them."""

from pathlib import Path

from agentkit.session import Sessions

REDIS = ("redis://", "rediss://", "unix://")


def rate_limit_storage(where: str) -> str:
    """Where rates are counted for a store of sessions: in its Redis, for all who share it; else in memory."""
    return where if where.startswith(REDIS[:2]) else "memory://"  # limits knows no unix://


def open_sessions(where: str) -> Sessions:
    """The store: an SQLite file, or redis://... Raises ConfigurationError, SessionError."""
    if where.startswith(REDIS):
        from agentkit.sessions import RedisSessions

        return RedisSessions(where)
    from agentkit.sessions import SQLiteSessions

    return SQLiteSessions(Path(where).expanduser())
