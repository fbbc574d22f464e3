"""Opens session stores given by a path or URL."""

from pathlib import Path

from agentkit.session import Sessions

REDIS = ("redis://", "rediss://", "unix://")


def rate_limit_storage(where: str) -> str:
    """Return the storage URL of rate limits for a session store: its Redis server, which is shared; else memory."""
    return where if where.startswith(REDIS[:2]) else "memory://"  # limits does not support unix://


def open_sessions(where: str) -> Sessions:
    """Open the session store: the path of an SQLite file, or redis://... Raises ConfigurationError, SessionError."""
    if where.startswith(REDIS):
        from agentkit.sessions import RedisSessions

        return RedisSessions(where)
    from agentkit.sessions import SQLiteSessions

    return SQLiteSessions(Path(where).expanduser())
