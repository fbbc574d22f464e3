"""A client of Redis that outlives a failover and a fork."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from agentkit._forking import notice_fork, renewed_by_forks
from agentkit.sessions.redis_url import RedisAddress

if TYPE_CHECKING:
    import redis

Answer = TypeVar("Answer")


class RedisClient:
    """Connections to Redis at an address, opened when they are needed. errors: what its methods raise.

    Raises ConfigurationError for an option that redis does not know.
    """

    def __init__(self, address: RedisAddress) -> None:
        import redis
        from redis.exceptions import RedisClusterException  # which is no RedisError

        self.address = address
        self.errors = (redis.RedisError, RedisClusterException, OSError)
        self._client: redis.Redis | None = None
        self._inherited: list[redis.Redis | None] = []
        if not address.is_cluster:  # which is asked for its nodes at once
            self._client = address.connect()
        renewed_by_forks(self)

    @property
    def server(self) -> "redis.Redis":
        """The client of the redis package."""
        notice_fork()
        if self._client is None:
            self._client = self.address.connect()
        return self._client

    def close(self) -> None:
        """Close the connections; they are opened again when needed."""
        if self._client is not None:
            self._client.close()

    def do(self, action: "Callable[[redis.Redis], Answer]") -> Answer:
        """Do something that may be done twice: a command whose answer was lost is sent again."""
        try:
            return action(self.server)
        except self.errors as error:
            if "READONLY" not in str(error) or self.address.is_cluster:
                raise
        # The server has become a replica: new connections go to the one that took over.
        self.server.connection_pool.disconnect(inuse_connections=False)
        return action(self.server)

    def run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run a script, as `do` does."""
        return self.do(lambda server: server.register_script(script)(keys, arguments))

    def renew_in_child(self) -> None:
        """In a child: begin without connections."""
        self._inherited.append(self._client)  # never closed: its locks may have been held, its sockets are shared
        self._client = None
