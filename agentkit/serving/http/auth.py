"""Authentication: determines the subject of a request from an API key or a token (JWT, RFC 7519)."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jwt

from agentkit.serving.http.keys import KeyFileError, Keys
from agentkit.serving.http.settings import HttpSettings
from agentkit.serving.http.token_keys import keys_at

logger = logging.getLogger("agentkit.http")

LOCAL = "local"
"""Subject of every request while authentication is disabled."""

TOKEN = "jwt:"
"""How the subject of a request with a token begins; that of an API key begins with "key:"."""

BEARER = "Bearer "
KEY_HEADERS = ("x-api-key", "api-key")
"""Where a key may be as it is: programs for the APIs of others send it there, and those behind a proxy that has
`Authorization` for its own login."""


def authorizations(header: Callable[[str], str | None]) -> list[str]:
    """What a request gives to say who sends it, each as a value of the header `Authorization`, in the order in which
    they count. header: returns the value of a header, by its name in lower case."""
    own = header("authorization")
    keys = [f"{BEARER}{value}" for name in KEY_HEADERS if (value := header(name))]
    if own is None:
        return keys
    return [own, *keys] if own.lower().startswith(BEARER.lower()) else [*keys, own]


class Authenticator:
    """Authenticates requests. With no API keys and no JWT configured, every caller is LOCAL: see `is_open`. Raises
    ConfigurationError when the key file or the JWK set file can't be read."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.agentkit_keys_file)
        self._keys.names()  # that they can't be read is better known before there are requests
        self._was_open = not self._keys.exist and not settings.accepts_jwt
        self._token_keys = keys_at(settings.agentkit_jwt_jwks) if settings.agentkit_jwt_jwks else None

    @property
    def is_open(self) -> bool:
        """Whether authentication is disabled: no JWT is configured and no API key was ever created. Once enabled, it
        stays enabled, even after the last key is removed and after a restart, because the empty key file remains.
        Raises KeyFileError when that can't be seen."""
        try:
            self._was_open = self._was_open and not self._keys.exist
        except OSError as error:
            raise KeyFileError(f"the key file can't be looked at: {error}") from None
        return self._was_open

    def needs_key(self) -> bool:
        """Whether callers need a key or a token; so they do while the keys can't be read."""
        try:
            return not self.is_open
        except KeyFileError:
            return True

    @property
    def is_remote(self) -> bool:
        """Whether token keys are fetched from a URL, so that authentication may block on the network."""
        return self._token_keys is not None and self._token_keys.is_remote

    def subject(self, authorization: str | None) -> str | None:
        """Return the subject for an Authorization header; None when authentication fails. Raises KeyFileError."""
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

    def subject_of(self, given: Iterable[str]) -> str | None:
        """Return the subject for what a request gives (`authorizations`): the first that is valid counts."""
        return next((found for each in given if (found := self.subject(each)) is not None), None)

    def _token_subject(self, token: str) -> str | None:
        try:
            for key, algorithms in self._verifiers(token):
                try:
                    claims = self._claims(token, key, algorithms)
                except jwt.InvalidSignatureError:
                    continue
                claims["sub"].encode()
                return f"{TOKEN}{claims['sub']}" if claims["sub"] else None
        except Exception as error:  # noqa: BLE001 - a hostile token may cause any error
            logger.info("token rejected: %s", type(error).__name__)
        return None

    def _claims(self, token: str, key: Any, algorithms: Sequence[str]) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience=self._settings.agentkit_jwt_audience,
            issuer=self._settings.agentkit_jwt_issuer,
            leeway=self._settings.agentkit_jwt_leeway,
            options={"require": ["exp", "aud", "sub"]},
        )

    def _verifiers(self, token: str) -> list[tuple[Any, Sequence[str]]]:
        """The keys of a token, each with the algorithms that it may be used with, whatever the token says."""
        if self._token_keys is not None:
            return [(each.key, each.algorithms) for each in self._token_keys.candidates(token)]
        secret = self._settings.agentkit_jwt_secret
        return [(secret.get_secret_value(), ("HS256",))] if secret is not None else []
