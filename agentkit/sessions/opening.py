"""Opens session stores given by a path or URL."""

import os
import re
from pathlib import Path

from agentkit._lazy import Registry, not_callable
from agentkit.errors import ConfigurationError
from agentkit.session import Sessions
from agentkit.sessions.redis_url import SCHEMES as REDIS_SCHEMES

STORES = Registry(
    "agentkit.sessions",
    {
        "sqlite": "agentkit.sessions.sqlite:from_url",
        **dict.fromkeys(REDIS_SCHEMES, "agentkit.sessions.redis:RedisSessions"),
        "memory": "agentkit.sessions.memory:from_url",
    },
    not_callable,
)
"""What opens the stores of each URL scheme: a function of the URL, or a class whose first argument is the URL."""

SCHEME = re.compile(r"\A([A-Za-z][A-Za-z0-9+.-]+):")  # at least two letters: C:\ is a drive


def open_sessions(where: str | os.PathLike[str]) -> Sessions:
    """Open a session store.

    where: the path of an SQLite file ("chat.db", "sqlite:chat.db" or a Path), "redis://[user:password@]host:port/db",
    "rediss://..." (TLS), "unix://PATH" (the socket of a Redis server), "redis+cluster://..." and "redis+sentinel://..."
    (`RedisSessions`), "memory:", or a URL whose scheme an installed
    package has registered as an entry point of the group "agentkit.sessions".

    Raises ConfigurationError for an unknown scheme or an invalid URL, MissingExtraError when a package is missing,
    SessionError when the store can't be used.
    """
    if not isinstance(where, str):
        where = str(Path(where).absolute())
    if not where.strip():
        raise ConfigurationError("the session store is empty: give the path of an SQLite file, or a URL")
    found = SCHEME.match(where)
    scheme = found[1].lower() if found else "sqlite"
    make = STORES.find(scheme)
    if make is None:
        known = ", ".join(f"{each}:" for each in STORES.names())
        raise ConfigurationError(
            f"there is no session store {scheme!r}: use a path or one of {known} (for a file of such a name, "
            f"write sqlite:PATH){STORES.hint()}"
        )
    opened = make(scheme + where[len(scheme) :] if found else where)
    if not isinstance(opened, Sessions):
        raise ConfigurationError(
            f"the session store {scheme!r} made a {type(opened).__name__}: it has to be a subclass of "
            "agentkit.session.Sessions"
        )
    return opened
