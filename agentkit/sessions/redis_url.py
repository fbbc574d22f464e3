"""The address of Redis in a URL: one server, a cluster, or a server that sentinels name; with options of the store."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode

from agentkit.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    import redis

SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel")
"""The schemes of Redis; "rediss" is TLS, "unix" a socket."""

TIMEOUT = 5.0
"""Seconds for a connection, and for an answer."""

_URL = re.compile(r"([a-z+]+)://([^/?#]*)(/[^?#]*)?(?:\?([^#]*))?", re.IGNORECASE)
_HOST = re.compile(r"(\[[\w:.%]+\]|[^\[\]:\s]*)(?::(\d{1,5}))?")
_DECODING = ("decode_responses", "encoding", "encoding_errors")
"""Options of other programs that share a URL: what is stored is bytes."""


@dataclass(frozen=True)
class RedisAddress:
    """Where Redis is. Its text has no user, password or option.

    scheme: "redis", "rediss" or "unix". kind: "", "cluster" or "sentinel". hosts: with ports. path: of the socket, or
    the number of the database. service: what the sentinels call the server. options: of the connection. prefix, lease:
    the options of the store, None when the URL has none.
    """

    scheme: str
    kind: str
    hosts: tuple[tuple[str, int], ...]
    path: str
    service: str
    options: Mapping[str, str] = field(repr=False)
    login: str = field(repr=False)
    prefix: str | None = None
    lease: float | None = None

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix://{self.path}"
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        return "/".join(part for part in (hosts, self.service) if part)

    @property
    def is_cluster(self) -> bool:
        return self.kind == "cluster"

    def connect(self) -> "redis.Redis":
        """A client. Raises ConfigurationError for an option that redis does not know, redis.RedisError when a cluster
        can't be reached."""
        from redis.connection import parse_url

        host, port = self.hosts[0] if self.hosts else ("", 0)
        at = self.login if self.scheme == "unix" else f"{self.login}{host}:{port}"
        query = urlencode({name: value for name, value in self.options.items() if not name.startswith("sentinel_")})
        try:
            settings: dict[str, Any] = parse_url(  # type: ignore[no-untyped-call]
                f"{self.scheme}://{at}{self.path}?{query}"
            )
            return self._client({"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT} | settings)
        except (ValueError, TypeError) as error:
            is_harmless = isinstance(error, TypeError) or str(error).startswith("Invalid value for")
            raise invalid(str(error).rpartition("() ")[2] if is_harmless else "") from None

    def _client(self, settings: dict[str, Any]) -> "redis.Redis":
        import redis
        from redis.backoff import ExponentialBackoff
        from redis.cluster import ClusterNode, RedisCluster
        from redis.retry import Retry
        from redis.sentinel import Sentinel

        retry = Retry(ExponentialBackoff(1.0, 0.1), 2)
        connection_class = settings.pop("connection_class", redis.Connection)
        client: Any
        if not self.kind:
            pool = redis.ConnectionPool(connection_class=connection_class, retry=retry, **settings)
            client = redis.Redis(connection_pool=pool)
            pool.connection_class(**pool.connection_kwargs)  # an unknown option is a TypeError here
            return client  # type: ignore[no-any-return]
        if self.scheme == "rediss":
            settings["ssl"] = True
        for name in ("host", "port"):
            settings.pop(name, None)
        if self.is_cluster:
            settings.pop("db", None)
            nodes = [ClusterNode(*each) for each in self.hosts]  # type: ignore[no-untyped-call]
            client = RedisCluster(startup_nodes=nodes, retry=retry, **settings)
            return client  # type: ignore[no-any-return]
        shared = {name: value for name, value in settings.items() if name.startswith(("ssl", "socket_"))}
        logins = {
            name: self.options[f"sentinel_{name}"]
            for name in ("username", "password")
            if f"sentinel_{name}" in self.options
        }
        sentinel = Sentinel(self.hosts, sentinel_kwargs=shared | logins, retry=retry, **settings)  # type: ignore[no-untyped-call]
        client = sentinel.master_for(self.service)  # type: ignore[no-untyped-call]
        return client  # type: ignore[no-any-return]


def is_redis_url(url: str) -> bool:
    """Whether a URL has one of the schemes of Redis."""
    return url.partition("://")[0].lower() in SCHEMES


def parse_redis_url(url: str) -> RedisAddress:
    """The address in a URL. Raises ConfigurationError, without any part of the URL, which may have a password;
    MissingExtraError without the redis package."""
    try:
        import redis  # noqa: F401
    except ImportError:
        raise MissingExtraError("sessions in Redis", "redis") from None
    found = _URL.fullmatch(url)
    if found is None or found[1].lower() not in SCHEMES or "@" in (found[3] or "") + (found[4] or ""):
        raise invalid()
    scheme, _, kind = found[1].lower().partition("+")
    login, at, names = found[2].rpartition("@")
    options = {name: value for name, value in parse_qsl(found[4] or "") if name not in _DECODING}
    prefix, lease = options.pop("prefix", None), options.pop("lease", None)
    path, service = found[3] or "", ""
    if kind == "sentinel":
        service, _, database = path.strip("/").partition("/")
        path, service = f"/{database}", unquote(service)
        if not service:
            raise invalid("after the sentinels comes the name of the server: redis+sentinel://host:26379/mymaster/0")
    return RedisAddress(
        scheme=scheme,
        kind=kind,
        hosts=() if scheme == "unix" else _hosts(names, 26379 if kind == "sentinel" else 6379, many=bool(kind)),
        path=path,
        service=service,
        options=options,
        login=login + at,
        prefix=prefix,
        lease=None if lease is None else _seconds(lease),
    )


def _hosts(names: str, port: int, many: bool) -> tuple[tuple[str, int], ...]:
    found = [_HOST.fullmatch(name) for name in names.split(",")]
    hosts = tuple((each[1] or "localhost", int(each[2] or port)) for each in found if each is not None)
    if len(hosts) < len(found) or (len(hosts) > 1 and not many) or any(port > 65535 for _, port in hosts):
        raise invalid()
    return hosts


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not is_lease(seconds):
        raise invalid("lease= is a number of seconds")
    return seconds


def is_lease(seconds: float) -> bool:
    """Whether a lock can have a lease of so many seconds: Redis counts whole milliseconds."""
    return 0.001 <= seconds < 86_400


def invalid(reason: str = "") -> ConfigurationError:
    """The error for a URL of Redis, none of which it shows."""
    return ConfigurationError(
        f"this is not a valid Redis URL{f' ({reason})' if reason else ''}: write "
        "redis://[user:password@]host:port/database, and percent-encode the user and the password "
        "(urllib.parse.quote(password, safe=''))"
    )
