"""The file of tokens, and of the clients that are registered: by authorization server, readable by the user alone."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agentkit._forking import freed_by_forks
from agentkit.errors import ConfigurationError
from agentkit.mcp.oauth.asking import failure
from agentkit.mcp.oauth.granting import Registered, Tokens
from agentkit.mcp.oauth.metadata import covers
from agentkit.net.stored_keys import mcp_tokens_file, write_privately

RENEWING_SECONDS = 30.0
"""How long to wait while another program renews tokens of the same authorization server."""
_LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))


class Store:
    """Keeps tokens by authorization server and resource. path: the file; None: in memory alone."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._memory: dict[str, Any] = {}
        self._lock = freed_by_forks(threading.Lock())
        self._renewing = freed_by_forks(threading.Lock())

    def __reduce__(self) -> tuple[Any, ...]:
        return Store, (self._path,)

    @classmethod
    def of_user(cls) -> "Store":
        """The store in the user's configuration. Raises ConfigurationError when there is no home directory."""
        return cls(mcp_tokens_file())

    @property
    def path(self) -> Path | None:
        """The file."""
        return self._path

    def client(self, issuer: str, redirect_uri: str) -> Registered | None:
        """The client that an authorization server has registered for this address to come back to: on this machine with
        any port (RFC 8252, 7.3)."""
        found = self._of(issuer).get("client")
        if not isinstance(found, dict) or not _is_same(str(found.get("redirect_uri")), redirect_uri):
            return None
        return Registered.of(found)

    def keep_client(self, issuer: str, redirect_uri: str, client: Registered) -> None:
        """Keep a registered client. Raises ConfigurationError when the file can't be written."""
        kept = {"client_id": client.client_id, "client_secret": client.client_secret, "method": client.method}
        self._change(issuer, "client", lambda _: {**kept, "redirect_uri": redirect_uri})

    def forget_client(self, issuer: str) -> None:
        """Forget the registered client; its tokens stay. Raises ConfigurationError when the file can't be written."""
        self._change(issuer, "client", lambda _: None)

    def tokens(self, issuer: str, resource: str) -> Tokens | None:
        """The tokens for a resource."""
        found = self._of(issuer).get("tokens")
        kept = found.get(resource) if isinstance(found, dict) else None
        return Tokens.of(kept) if isinstance(kept, dict) else None

    def keep_tokens(self, issuer: str, resource: str, tokens: Tokens) -> None:
        """Keep the tokens for a resource. Raises ConfigurationError when the file can't be written."""

        def added(kept: Any) -> Any:
            return {**(kept if isinstance(kept, dict) else {}), resource: tokens.as_dict()}

        self._change(issuer, "tokens", added)

    def has_login(self, url: str) -> bool:
        """Whether there are tokens for the server at a URL."""
        logins = [found.get("tokens") for found in self._read().values() if isinstance(found, dict)]
        return any(covers(each, url) for found in logins if isinstance(found, dict) for each in found)

    @contextlib.contextmanager
    def renewing(self, issuer: str) -> Iterator[None]:
        """Have no other thread or program renew tokens of an authorization server meanwhile: a refresh token may be
        valid once, and all tokens invalid when it is used twice. Raises MCPError when another one takes too long,
        ConfigurationError when the folder can't be written."""
        if self._path is None:
            if not self._renewing.acquire(timeout=RENEWING_SECONDS):
                raise _busy(issuer)
            try:
                yield
            finally:
                self._renewing.release()
            return
        from filelock import FileLock, Timeout

        digest = hashlib.sha256(issuer.encode()).hexdigest()[:16]
        lock = FileLock(f"{self._path}.{digest}.lock", timeout=RENEWING_SECONDS, mode=0o600)
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise _busy(issuer) from None
        except OSError as error:
            raise ConfigurationError(f"the tokens can't be stored: {self._path}: {error.strerror or error}") from None
        try:
            yield
        finally:
            lock.release()

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

    def _change(self, issuer: str, name: str, change: Callable[[Any], Any]) -> None:
        """Change what is kept of an authorization server under a name, whatever other programs change."""
        with self._lock:
            if self._path is None:
                self._memory = _changed(self._memory, issuer, name, change)
                return
            write_privately(self._path, lambda: json.dumps(_changed(self._read(), issuer, name, change), indent=1))


def _changed(kept: dict[str, Any], issuer: str, name: str, change: Callable[[Any], Any]) -> dict[str, Any]:
    found = kept.get(issuer)
    known = found if isinstance(found, dict) else {}
    return {**kept, issuer: {**known, name: change(known.get(name))}}


def _busy(issuer: str) -> Exception:
    return failure(f"another program has been renewing the tokens of {issuer} for {RENEWING_SECONDS:g} s: try again")


def _is_same(registered: str, wanted: str) -> bool:
    """Whether a client may come back to an address, given the one that it has registered."""
    try:
        one, other = urlsplit(registered), urlsplit(wanted)
    except ValueError:
        return False
    if one.scheme == other.scheme == "http" and one.hostname in _LOOPBACK:
        return (one.hostname, one.path, one.query) == (other.hostname, other.path, other.query)
    return registered == wanted
