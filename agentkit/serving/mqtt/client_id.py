"""The client ids of bridges, and locks for them.

A bridge uses the same client id at each start, so that the broker queues messages for it while it is not running. Two
bridges can't use one id: the broker disconnects the first when the second connects. Therefore the default id contains
the name of this installation, and a bridge holds a file lock on its id for as long as it runs.
"""

import hashlib
import logging
import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentkit import ConfigurationError

logger = logging.getLogger("agentkit.mqtt")

MAX_IN_GROUP = 1000


def installation_name(folder: Path) -> str:
    """The name of this installation: that of the host when it was first asked for, and random characters, since hosts
    may have equal names. It is kept in a file of `folder`: the host's name may change, as that of a container does."""
    file = folder / "installation"
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:20] or "host"
    name = f"{host}-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f"{file.name}-{secrets.token_hex(4)}"
        if not file.exists():
            new.write_text(name, encoding="ascii")
            try:
                os.link(new, file)
            except FileExistsError:
                pass  # another process was faster
            except OSError:  # a file system without links
                new.replace(file)
            new.unlink(missing_ok=True)
        return file.read_text(encoding="ascii").strip() or host
    except (OSError, UnicodeDecodeError) as error:
        logger.warning(
            "can't keep a name for this installation in %s: %s: using the host's name as the client id, which another "
            "host may have too (--client-id)",
            file,
            error,
        )
        return host


@contextmanager
def held_client_id(name: str, broker: str, *, in_group: bool, folder: Path) -> Iterator[str]:
    """Lock a client id and yield it.

    name: the client id. broker: "host:port". in_group: take the first free id of name-1, name-2, ... instead. folder:
    directory of the lock files. Raises ConfigurationError when another bridge on this machine uses the id.
    """
    import filelock

    candidates = [f"{name}-{number}" for number in range(1, MAX_IN_GROUP)] if in_group else [name]
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
        "(--client-id), or let both share the load (--shared GROUP)"
    )
