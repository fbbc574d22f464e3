"""By which name the broker knows a bridge.

It is the same at each start, so that the broker keeps for it what comes in between; and no two bridges may have one,
for the broker drops the first when the second comes. So a name is held by a file lock for as long as its bridge lives.
"""

import hashlib
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentkit import ConfigurationError

logger = logging.getLogger("agentkit.mqtt")

MAX_IN_GROUP = 1000


@contextmanager
def held_client_id(name: str, broker: str, *, in_group: bool, folder: Path) -> Iterator[str]:
    """Hold a name with a broker ("host:port"). in_group: then it is the first free one of this machine, name-HOST-1 and
    so on. folder: of the locks. Raises ConfigurationError when another bridge on this machine has it."""
    import filelock

    host = socket.gethostname()[:20]
    names = [f"{name}-{host}-{number}" for number in range(1, MAX_IN_GROUP)] if in_group else [name]
    for each in names:
        digest = hashlib.sha256(f"{broker}\n{each}".encode()).hexdigest()[:24]
        lock = filelock.FileLock(folder / f"{digest}.lock", timeout=0, thread_local=False)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except filelock.Timeout:
            continue
        except OSError as error:
            logger.warning("whether another bridge is called %s is not known: %s", each, error)
            yield each
            return
        try:
            yield each
        finally:
            lock.release()
        return
    raise ConfigurationError(
        f"a bridge called {name} serves {broker} on this machine already: give this one another name (--client_id), or "
        "let both share the load (--shared GROUP)"
    )
