"""The file of tokens, and of the clients that are registered: by authorization server, readable by the user alone."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agentkit._forking import freed_by_forks
from agentkit.errors import ConfigurationError
from agentkit.mcp.oauth.asking import failure
from agentkit.mcp.oauth.granting import Registered, Tokens
from agentkit.mcp.oauth.metadata import covers, is_same_issuer
from agentkit.net.stored_keys import mcp_tokens_file, write_privately

RENEWING_SECONDS = 30.0
"""How long to wait while another program renews tokens of the same authorization server."""
_LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))


_Key = tuple[str, ...]
"""Where something is kept: (issuer, "client") or (issuer, "tokens", resource)."""


class Store:
    """Keeps tokens by authorization server and resource. path: the file; None: in memory alone.

    What can't be written is kept in memory, and written when something else is: a refresh token may be valid once, so
    that a login is lost with what it was renewed to.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._memory: dict[str, Any] = {}
        self._unwritten: dict[_Key, tuple[Any, Any]] = {}  # what the file had instead, and what is kept
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

    def client(self, issuer: str, redirect_uri: str) -> tuple[Registered, str] | None:
        """The client that an authorization server has registered for this address to come back to, and the address that
        it was registered for: on this machine with any port (RFC 8252, 7.3)."""
        found = self._kept((issuer, "client"))
        own = str(found.get("redirect_uri")) if isinstance(found, dict) else ""
        client = Registered.of(found)
        return (client, own) if client is not None and _is_same(own, redirect_uri) else None

    def keep_client(self, issuer: str, redirect_uri: str, client: Registered) -> None:
        """Keep a registered client. Raises ConfigurationError when the file can't be written: then it is kept in
        memory."""
        self._keep((issuer, "client"), {**asdict(client), "redirect_uri": redirect_uri})

    def forget_client(self, issuer: str, client: Registered) -> None:
        """Forget a registered client; its tokens stay. Raises ConfigurationError when the file can't be written: then
        it is forgotten in memory."""
        found = Registered.of(self._kept((issuer, "client")))
        if found is not None and found.client_id == client.client_id:
            self._keep((issuer, "client"), None)

    def tokens(self, issuer: str, resource: str) -> Tokens | None:
        """The tokens for a resource."""
        kept = self._kept((issuer, "tokens", resource))
        return Tokens.of(kept) if isinstance(kept, dict) else None

    def tokens_at(self, url: str, issuer: str | None) -> Tokens | None:
        """The tokens of a login to the server at a URL; None for none, and where there are several. issuer: the
        authorization server that has to have given them; None: any. Raises ConfigurationError when the file can't be
        read."""
        found = [
            (each, resource)
            for each, kept in self._read().items()
            if issuer is None or is_same_issuer(each, issuer)
            for resource in _resources(kept)
            if covers(resource, url)
        ]
        return self.tokens(*found[0]) if len(found) == 1 else None

    def keep_tokens(self, issuer: str, resource: str, tokens: Tokens) -> None:
        """Keep the tokens for a resource. Raises ConfigurationError when the file can't be written: then they are kept
        in memory."""
        self._keep((issuer, "tokens", resource), tokens.as_dict())

    def check_writable(self, issuer: str, resource: str) -> None:
        """Write what is kept for a resource as it is. Raises ConfigurationError when the file can't be written, unless
        the tokens are in memory alone anyway."""
        key = (issuer, "tokens", resource)
        try:
            self._keep(key, self._kept(key))
        except ConfigurationError:
            if not self._is_in_memory(issuer):
                raise

    def has_login(self, url: str) -> bool:
        """Whether there are tokens for the server at a URL."""
        return any(covers(each, url) for found in self._read().values() for each in _resources(found))

    @contextlib.contextmanager
    def renewing(self, issuer: str) -> Iterator[None]:
        """Have no other thread or program renew tokens of an authorization server meanwhile: a refresh token may be
        valid once, and all tokens invalid when it is used twice. Raises MCPError when another one takes too long,
        ConfigurationError when the folder can't be written, unless the tokens are in memory alone."""
        if self._path is None or self._is_in_memory(issuer):
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

    def _kept(self, key: _Key) -> Any:
        found = _at(self._read(), key)
        before, kept = self._unwritten.get(key, (None, None))
        return kept if key in self._unwritten and before == found else found  # else another program has written it

    def _is_in_memory(self, issuer: str) -> bool:
        """Whether tokens of an authorization server could not be written."""
        return any(key[:2] == (issuer, "tokens") for key in list(self._unwritten))

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

    def _keep(self, key: _Key, value: Any) -> None:
        """Keep a value under a key, whatever other programs change, and write what could not be written before."""
        with self._lock:
            if self._path is None:
                self._memory = _with(self._memory, key, value)
                return
            try:
                write_privately(self._path, lambda: self._text(key, value), "the tokens")
            except ConfigurationError:
                before = self._unwritten[key][0] if key in self._unwritten else _at(self._read(), key)
                if value != before:
                    self._unwritten[key] = before, value
                raise
            self._unwritten.clear()

    def _text(self, key: _Key, value: Any) -> str:
        """What the file is to be."""
        found = self._read()
        for each, (before, kept) in self._unwritten.items():
            if _at(found, each) == before:
                found = _with(found, each, kept)
        return json.dumps(_with(found, key, value), indent=1)


def _resources(kept: Any) -> Iterator[str]:
    """The resources for which an authorization server has given tokens."""
    tokens = kept.get("tokens") if isinstance(kept, dict) else None
    yield from (each for each, found in tokens.items() if isinstance(found, dict)) if isinstance(tokens, dict) else ()


def _at(kept: Mapping[str, Any], key: _Key) -> Any:
    """What is kept under a key; None for nothing."""
    found: Any = kept.get(_spelled(kept, key[0]))
    for each in key[1:]:
        found = found.get(each) if isinstance(found, dict) else None
    return found


def _with(kept: dict[str, Any], key: _Key, value: Any) -> dict[str, Any]:
    issuer, *names = key
    return _changed(kept, [_spelled(kept, issuer), *names], value)


def _changed(kept: object, names: list[str], value: Any) -> dict[str, Any]:
    known = kept if isinstance(kept, dict) else {}
    name, *rest = names
    return {**known, name: _changed(known.get(name), rest, value) if rest else value}


def _spelled(kept: Mapping[str, Any], issuer: str) -> str:
    """An issuer as it was kept before: perhaps with, or without, a "/" at its end."""
    return next((each for each in (issuer, *kept) if each in kept and is_same_issuer(each, issuer)), issuer)


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
