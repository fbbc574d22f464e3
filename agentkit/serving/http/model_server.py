"""Health check of the model server."""

import time
from urllib.parse import urlsplit

import requests

from agentkit._text import without_credentials
from agentkit.errors import ConfigurationError
from agentkit.net.outgoing import requests_options

TIMEOUT = 3.0
CACHE_SECONDS = 1.0


class ModelServer:
    """Checks whether a model server is reachable; a result is cached for one second. url: its API URL; None for a model
    in this process, which is always available. configured_url: the URL given in the settings, for display."""

    def __init__(self, url: str | None, configured_url: str | None = None) -> None:
        self._url = url
        self._display_url = configured_url or url
        self._checked = float("-inf")
        self._problem: str | None = None

    @property
    def display_url(self) -> str:
        """The URL without credentials, for display."""
        return without_credentials(self._display_url) if self._display_url else "in this process"

    def problem(self) -> str | None:
        """Return what is wrong with the server; None when it is available."""
        if self._url is None:
            return None
        if time.monotonic() - self._checked > CACHE_SECONDS:
            self._problem = self._check(self._url)
            self._checked = time.monotonic()
        return self._problem

    def _check(self, url: str) -> str | None:
        try:
            with requests.Session() as session:
                session.trust_env = False  # `requests_options` reads it, for this address alone
                response = session.get(
                    f"{url.rstrip('/')}/models", timeout=TIMEOUT, allow_redirects=False, **requests_options(url)
                )
        except ConfigurationError as error:
            return str(error)
        except OSError as error:  # requests' own are OSErrors; those of CA certificates are not always among them
            return f"{type(error).__name__}: can't connect to {urlsplit(without_credentials(url)).netloc}"
        # a server that requires a key or does not list models is available
        return f"responded with status {response.status_code}" if response.status_code >= 500 else None
