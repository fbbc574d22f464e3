"""Locks for the client ids of bridges.

A bridge uses the same client id at each start, so that the broker queues messages for it while it is not running. Two
bridges can't use one id: the broker disconnects the first when the second connects. Therefore a bridge holds a file
lock on its id for as long as it runs.
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
    """Lock a client id and yield it.

    name: the client id. broker: "host:port". in_group: take the first free id of name-HOST-1, name-HOST-2, ... instead,
    where HOST is the name of this machine. folder: directory of the lock files. Raises ConfigurationError when another
    bridge on this machine uses the id.
    """
    import filelock

    host = socket.gethostname()[:20]
    candidates = [f"{name}-{host}-{number}" for number in range(1, MAX_IN_GROUP)] if in_group else [name]
    for candidate in candidates:
        digest = hashlib.sha256(f"{broker}\n{candidate}".encode()).hexdigest()[:24]
        lock = filelock.FileLock(folder / f"{digest}.lock", timeout=0, thread_local=False)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except filelock.Timeout:
            continue
        except OSError as error:
            logger.warning("can't check whether another bridge uses the client id %s: %s", candidate, error)
            yield candidate
            return
        try:
            yield candidate
        finally:
            lock.release()
        return
    raise ConfigurationError(
        f"another bridge on this machine already uses the client id {name} on {broker}: choose another one "
        "(--client_id), or let both share the load (--shared GROUP)"
    )
