"""The public keys that tokens are verified with: a JWK set (RFC 7517) in a file or at a URL."""

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt

from agentkit import ConfigurationError

logger = logging.getLogger("agentkit.http")

ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA",),
    "Ed448": ("EdDSA",),
}
"""The algorithms of each kind of public key (its curve, or its type). A shared secret (`oct`) is none: who can read the
key set could sign with it."""

FETCH_SECONDS = 30.0
"""Seconds between two requests for a key set that lacks the key of a token, or can't be fetched."""

FIRST_FETCH_SECONDS = 2.0
"""The same as long as there are no keys at all."""

KEPT_SECONDS = 300.0
"""Seconds after which a key set is fetched again. The old one is used as long as that fails."""


class TokenKey:
    """A public key. id: its `kid`, None when it has none. algorithms: those that it may verify."""

    def __init__(self, fields: Any) -> None:
        """Raises jwt.PyJWTError, KeyError or TypeError for a key that can't verify tokens."""
        kind = fields["kty"] if fields["kty"] == "RSA" else fields["crv"]
        algorithm = {"Ed25519": "EdDSA", "Ed448": "EdDSA"}.get(fields.get("alg"), fields.get("alg"))  # RFC 9864
        self.algorithms = tuple(each for each in ALGORITHMS[kind] if algorithm in (None, each))
        operations = fields.get("key_ops") or ["verify"]
        if not self.algorithms or fields.get("use", "sig") != "sig" or "verify" not in operations:
            raise KeyError("alg")
        self.id = None if fields.get("kid") is None else str(fields["kid"])
        self.key = jwt.PyJWK({**fields, "alg": self.algorithms[0]}).key


class TokenKeys:
    """The keys of a JWK set, which is fetched by `fetch`; `is_remote`: from a URL, which is asked again for a key that
    the set lacks. Thread-safe."""

    def __init__(self, fetch: Callable[[], Any], is_remote: bool) -> None:
        self.is_remote = is_remote
        self._fetch = fetch
        self._keys: list[TokenKey] = []
        self._expires = self._next_fetch = float("-inf")
        self._lock = threading.Lock()

    def candidates(self, token: str) -> list[TokenKey]:
        """Return the keys that may verify a token: the one that it names; without a name all of its algorithm. Raises
        jwt.PyJWTError for something that is no token."""
        head = jwt.get_unverified_header(token)
        self._refresh(self._expires)
        found = self._matching(head)
        if not found and self.is_remote:
            self._refresh(float("-inf"))
            found = self._matching(head)
        return found

    def _matching(self, head: dict[str, Any]) -> list[TokenKey]:
        able = [key for key in self._keys if head.get("alg") in key.algorithms]
        name = head.get("kid")
        if name is None:
            return able
        return [key for key in able if key.id == name] or [key for key in able if key.id is None]

    def _refresh(self, due: float) -> None:
        """Fetch the keys when it is time for it. due: from when on, on the monotonic clock."""
        if time.monotonic() < max(due, self._next_fetch):
            return
        if not self._lock.acquire(blocking=not self._keys):  # another thread does it; the old ones are used meanwhile
            return
        try:
            if time.monotonic() >= max(due, self._next_fetch):
                self._fetch_now()
        finally:
            self._lock.release()

    def _fetch_now(self) -> None:
        try:
            self._keys = keys_in(self._fetch())
            self._expires = time.monotonic() + (KEPT_SECONDS if self.is_remote else float("inf"))
        except (OSError, ValueError, jwt.PyJWTError, ConfigurationError) as error:
            logger.warning("the keys of tokens can't be fetched: %s", type(error).__name__)
        self._next_fetch = time.monotonic() + (FETCH_SECONDS if self._keys else FIRST_FETCH_SECONDS)


def keys_in(listed: Any) -> list[TokenKey]:
    """Return the keys of a JWK set, or a single JWK, that can verify tokens. Raises ConfigurationError when there are
    none."""
    listed = listed if isinstance(listed, dict) else {}
    keys = []
    for fields in listed["keys"] if isinstance(listed.get("keys"), list) else [listed]:
        try:
            keys.append(TokenKey(fields))
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, AttributeError):
            continue  # of another use, or a kind that is not known
    if not keys:
        raise ConfigurationError("it has no public key that can verify tokens (RSA, EC or Ed25519)")
    return keys


def keys_at(where: str) -> TokenKeys:
    """Return the keys at a URL or in a file. Raises ConfigurationError for a file that has none."""
    if where.startswith(("http://", "https://")):
        client = jwt.PyJWKClient(where, cache_jwk_set=False, timeout=5)
        return TokenKeys(client.fetch_data, is_remote=True)
    file = Path(where)
    try:
        listed = json.loads(file.read_text(encoding="utf-8-sig"))
        keys_in(listed)
    except (OSError, ValueError, ConfigurationError) as error:
        raise ConfigurationError(f"JWK set file {file.name} can't be used: {error}") from None
    return TokenKeys(lambda: listed, is_remote=False)
