"""API keys: a file of names and key hashes, readable by its owner only. A key itself is shown once, when it is created.

Keys are 256 random bits, so a plain SHA-256 hash can't be reversed.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agentkit import ConfigurationError
from agentkit.net.stored_keys import write_privately
from agentkit.serving.outage import KEYS_OUTAGE

NAME = re.compile(r"[\w.@-]{1,64}")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return "it is not one that agentkit serve keys has written"


class KeyFileError(ConfigurationError):
    """The key file can't be read; the message names it, and is not for clients."""


class Keys:
    """The keys in a file, which is reloaded when it changes. Raises ConfigurationError when it can't be read."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._name = str(file)  # each request asks for it
        self._stamp: tuple[int, int, int] | None = None
        self._hashes: dict[str, str] = {}

    @property
    def exist(self) -> bool:
        """Whether a key was ever created; all keys may have been removed since."""
        try:
            os.stat(self._name)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True  # and what can't be looked at is no service without keys: it raises

    def owner(self, key: str) -> str | None:
        """Return the name that a key was created for; None for an unknown key."""
        found = hashlib.sha256(key.encode()).hexdigest()
        names = [name for name, kept in self._read().items() if hmac.compare_digest(kept, found)]
        return names[0] if names else None

    def names(self) -> list[str]:
        """Return the names that have a key, sorted."""
        return sorted(self._read())

    def add(self, name: str) -> str:
        """Create a key for a name, and return it. Raises ConfigurationError for an invalid name or one with a key."""
        if not NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r:.80} is not a valid name: use up to 64 letters, digits and '_.@-'")
        key = f"ak-{secrets.token_urlsafe(32)}"

        def added(hashes: dict[str, str]) -> dict[str, str]:
            if name in hashes:
                raise ConfigurationError(
                    f"{name} has a key already: remove it first (agentkit serve keys remove {name})"
                )
            return {**hashes, name: hashlib.sha256(key.encode()).hexdigest()}

        self._change(added)
        return key

    def remove(self, name: str) -> None:
        """Remove the key of a name. Raises ConfigurationError when it has none."""

        def left(hashes: dict[str, str]) -> dict[str, str]:
            if name not in hashes:
                raise ConfigurationError(f"{name} has no key")
            return {each: kept for each, kept in hashes.items() if each != name}

        if name not in self._read():  # nothing is written where there is nothing to remove
            raise ConfigurationError(f"{name} has no key")
        self._change(left)

    def _read(self) -> dict[str, str]:
        try:
            status = self._file.stat()
        except (FileNotFoundError, NotADirectoryError):
            self._stamp, self._hashes = None, {}
            return self._hashes
        except OSError as error:
            raise KeyFileError(f"the key file {self._file} can't be read: {_reason(error)}") from None
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp != self._stamp:
            try:
                kept: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
                self._hashes = {str(name): str(each["sha256"]) for name, each in kept["keys"].items()}
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise KeyFileError(f"the key file {self._file} can't be read: {_reason(error)}") from None
            self._stamp = stamp
            KEYS_OUTAGE.end()
        return self._hashes

    def _change(self, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        """Change the keys while no other program does. change: returns the new ones for those in the file."""

        def changed() -> str:
            self._stamp = None  # another program may have written it just now
            hashes = change(self._read())
            now = datetime.now(UTC).isoformat(timespec="seconds")
            kept = {name: {"sha256": each} for name, each in hashes.items()}
            return json.dumps({"written": now, "keys": kept}, indent=1) + "\n"

        write_privately(self._file, changed)
