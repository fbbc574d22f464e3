"""The model server behind the service, as far as the service asks whether it is there."""

import time
from urllib.parse import urlsplit

import requests

from agentkit._text import without_credentials

SECONDS = 3.0
KEPT_SECONDS = 1.0


class ModelServer:
    """Asks a model server whether it is there; for a second the last word counts. url: of its API; None for a model in
    this process, which is always there. given: its address as the settings have it."""

    def __init__(self, url: str | None, given: str | None = None) -> None:
        self._url = url
        self._given = given or url
        self._asked = float("-inf")
        self._problem: str | None = None

    @property
    def shown(self) -> str:
        """Its address, for people."""
        return without_credentials(self._given) if self._given else "in this process"

    def problem(self) -> str | None:
        """What is wrong with it; None when it answers."""
        if self._url is None:
            return None
        if time.monotonic() - self._asked > KEPT_SECONDS:
            self._problem = self._ask(self._url)
            self._asked = time.monotonic()
        return self._problem

    def _ask(self, url: str) -> str | None:
        try:
            response = requests.get(f"{url.rstrip('/')}/models", timeout=SECONDS, allow_redirects=False)
        except requests.RequestException as error:
            return f"{type(error).__name__}: nobody answers at {urlsplit(without_credentials(url)).netloc}"
        # one that asks for a key, or has no list of models, is there
        return f"it answers with status {response.status_code}" if response.status_code >= 500 else None
