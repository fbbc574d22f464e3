"""Authentication: determines the subject of a request from an API key or a token (JWT, RFC 7519)."""

import json
import logging
from pathlib import Path
from typing import Any

import jwt

from agentkit import ConfigurationError
from agentkit.serving.http.keys import Keys
from agentkit.serving.http.settings import HttpSettings

logger = logging.getLogger("agentkit.http")

LOCAL = "local"
"""Subject of every request while authentication is disabled."""


class Authenticator:
    """Authenticates requests. With no API keys and no JWT configured, every caller is LOCAL: see `is_open`. Raises
    ConfigurationError when the JWK set file can't be read."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.agentkit_keys_file)
        self._was_open = not self._keys.exist and not settings.accepts_jwt
        self._algorithm = "HS256" if settings.agentkit_jwt_secret else "RS256"
        self._remote = None
        self._local: dict[str, Any] = {}
        where = settings.agentkit_jwt_jwks
        if where and where.startswith(("http://", "https://")):
            self._remote = jwt.PyJWKClient(where, cache_keys=True, lifespan=300, timeout=5)
        elif where:
            self._local = _keys_in(Path(where))

    @property
    def is_open(self) -> bool:
        """Whether authentication is disabled: no JWT is configured and no API key was ever created. Once enabled, it
        stays enabled, even after the last key is removed and after a restart, because the empty key file remains."""
        self._was_open = self._was_open and not self._keys.exist
        return self._was_open

    @property
    def is_remote(self) -> bool:
        """Whether token keys are fetched from a URL, so that authentication may block on the network."""
        return self._remote is not None

    def subject(self, authorization: str | None) -> str | None:
        """Return the subject for an Authorization header; None when authentication fails."""
        if self.is_open:
            return LOCAL
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return None
        owner = self._keys.owner(token)
        if owner is not None:
            return f"key:{owner}"
        return self._token_subject(token) if self._settings.accepts_jwt else None

    def _token_subject(self, token: str) -> str | None:
        try:
            claims = jwt.decode(
                token,
                self._token_key(token),
                algorithms=[self._algorithm],
                audience=self._settings.agentkit_jwt_audience,
                issuer=self._settings.agentkit_jwt_issuer,
                options={"require": ["exp", "aud", "sub"]},
            )
            claims["sub"].encode()
        except Exception as error:  # noqa: BLE001 - a hostile token may cause any error
            logger.info("token rejected: %s", type(error).__name__)
            return None
        return f"jwt:{claims['sub']}" if claims["sub"] else None

    def _token_key(self, token: str) -> Any:
        if self._settings.agentkit_jwt_secret is not None:
            return self._settings.agentkit_jwt_secret.get_secret_value()
        if self._remote is not None:
            return self._remote.get_signing_key_from_jwt(token).key
        return self._local[str(jwt.get_unverified_header(token).get("kid"))]


def _keys_in(file: Path) -> dict[str, Any]:
    """Return the keys of a JWK set file (RFC 7517) by key ID. Raises ConfigurationError."""
    try:
        listed = jwt.PyJWKSet.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, jwt.PyJWTError) as error:
        raise ConfigurationError(f"JWK set file {file.name} can't be read: {error}") from None
    return {str(each.key_id): each.key for each in listed.keys}
