"""The session stores, such as `from agentkit.sessions import SQLiteSessions`."""

from typing import TYPE_CHECKING

from agentkit._lazy import lazy_exports

if TYPE_CHECKING:
    from agentkit.sessions.memory import MemorySessions as MemorySessions
    from agentkit.sessions.redis import RedisSessions as RedisSessions
    from agentkit.sessions.sqlite import SQLiteSessions as SQLiteSessions
else:
    __getattr__, __dir__ = lazy_exports(__name__)
