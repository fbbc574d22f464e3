"""The session stores, what opens them by path or URL, and the base class of your own."""

from typing import TYPE_CHECKING

from agentkit._lazy import lazy_exports

if TYPE_CHECKING:
    from agentkit.session import SessionInfo as SessionInfo
    from agentkit.session import Sessions as Sessions
    from agentkit.session import busy as busy
    from agentkit.sessions.memory import MemorySessions as MemorySessions
    from agentkit.sessions.opening import open_sessions as open_sessions
    from agentkit.sessions.redis import RedisSessions as RedisSessions
    from agentkit.sessions.sqlite import SQLiteSessions as SQLiteSessions
else:
    __getattr__, __dir__ = lazy_exports(__name__)
