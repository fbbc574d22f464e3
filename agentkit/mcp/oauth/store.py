"""The file of tokens, and of the clients that are registered: by authorization server, readable by the user alone."""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentkit._forking import freed_by_forks
from agentkit.errors import ConfigurationError
from agentkit.mcp.oauth.granting import Registered, Tokens
from agentkit.net.stored_keys import config_folder, write_privately


class Store:
    """Keeps tokens by authorization server and resource. path: the file; None: in memory alone."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._memory: dict[str, Any] = {}
        self._lock = freed_by_forks(threading.Lock())

    def __reduce__(self) -> tuple[Any, ...]:
        return Store, (self._path,)

    @classmethod
    def of_user(cls) -> "Store":
        """The store in the user's configuration. Raises ConfigurationError when there is no home directory."""
        return cls(config_folder() / "mcp-tokens.json")

    def client(self, issuer: str, redirect_uri: str) -> Registered | None:
        """The client that an authorization server has registered for this address to come back to."""
        found = self._of(issuer).get("client")
        if not isinstance(found, dict) or found.get("redirect_uri") != redirect_uri:
            return None
        client_id, secret, method = (found.get(name) for name in ("client_id", "client_secret", "method"))
        if not isinstance(client_id, str):
            return None
        return Registered(client_id, secret if isinstance(secret, str) else None, str(method or ""))

    def keep_client(self, issuer: str, redirect_uri: str, client: Registered) -> None:
        """Keep a registered client. Raises ConfigurationError when the file can't be written."""
        kept = {"client_id": client.client_id, "client_secret": client.client_secret, "method": client.method}
        self._change(issuer, "client", {**kept, "redirect_uri": redirect_uri})

    def tokens(self, issuer: str, resource: str) -> Tokens | None:
        """The tokens for a resource."""
        found = self._of(issuer).get("tokens")
        kept = found.get(resource) if isinstance(found, dict) else None
        return Tokens.of(kept) if isinstance(kept, dict) else None

    def keep_tokens(self, issuer: str, resource: str, tokens: Tokens) -> None:
        """Keep the tokens for a resource. Raises ConfigurationError when the file can't be written."""
        found = self._of(issuer).get("tokens")
        kept = found if isinstance(found, dict) else {}
        self._change(issuer, "tokens", {**kept, resource: tokens.as_dict()})

    def _of(self, issuer: str) -> Mapping[str, Any]:
        found = self._read().get(issuer)
        return found if isinstance(found, dict) else {}

    def _read(self) -> dict[str, Any]:
        if self._path is None:
            return self._memory
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise ConfigurationError(f"the tokens can't be read: {self._path}: {error.strerror}") from None
        except (ValueError, RecursionError):
            return {}  # a token is got again
        return found if isinstance(found, dict) else {}

    def _change(self, issuer: str, name: str, value: Any) -> None:
        with self._lock:
            if self._path is None:
                self._memory = _changed(self._memory, issuer, name, value)
                return
            write_privately(self._path, lambda: json.dumps(_changed(self._read(), issuer, name, value), indent=1))


def _changed(kept: dict[str, Any], issuer: str, name: str, value: Any) -> dict[str, Any]:
    found = kept.get(issuer)
    return {**kept, issuer: {**(found if isinstance(found, dict) else {}), name: value}}
