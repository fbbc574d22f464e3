"""Stores of sessions by the names that people give them."""

from pathlib import Path

from agentkit.session import Sessions


def open_sessions(where: str) -> Sessions:
    """The store: an SQLite file, or redis://... Raises ConfigurationError, SessionError."""
    if where.startswith(("redis://", "rediss://", "unix://")):
        from agentkit.sessions import RedisSessions

        return RedisSessions(where)
    from agentkit.sessions import SQLiteSessions

    return SQLiteSessions(Path(where).expanduser())
