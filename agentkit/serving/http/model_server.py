"""Health check of the model server."""

import logging
import threading
import time
from urllib.parse import urlsplit

import requests

from agentkit._text import without_credentials
from agentkit.backend import Backend
from agentkit.backends.tool_arrival import Arrival, check_arrival
from agentkit.errors import ConfigurationError
from agentkit.middleware.cancellation import Cancellable
from agentkit.net.outgoing import requests_options
from agentkit.serving.addresses import without_addresses

TIMEOUT = 3.0
CACHE_SECONDS = 1.0

PATIENCE = 0.5
"""Seconds that a caller waits for the server where it is known how it was: a probe of Kubernetes waits one second for
all, and a server that is busy may take longer to list its models."""

KNOWN_SECONDS = 60.0
"""Seconds for which it is known how the server was."""

ARRIVAL_TIMEOUT = 30.0
"""Seconds that each of the two questions may take by which it is found out whether tools reach the model."""

ARRIVAL_PATIENCE = 2.0
"""Seconds that a health request waits for the answer; a later one has it."""

ARRIVAL_SECONDS = 600.0
"""Seconds after which it is found out again, unless tools do reach the model."""

logger = logging.getLogger("agentkit")


class ToolArrival:
    """Finds out once, in a thread of its own, whether the tools of a service reach the model. backend: the model."""

    def __init__(self, backend: Backend) -> None:
        self._backend = Cancellable(backend, None, lambda: time.monotonic() + ARRIVAL_TIMEOUT)
        self._thread: threading.Thread | None = None
        self._found: Arrival | None = None
        self._expires = float("-inf")
        self._lock = threading.Lock()

    def problem(self) -> str | None:
        """Return why tools do not reach the model; None when they do, and as long as it is not known. The first call
        starts to find out; each waits ARRIVAL_PATIENCE seconds at most."""
        with self._lock:
            is_due = self._thread is None and time.monotonic() > self._expires
            if is_due:
                self._thread = threading.Thread(target=self._find_out, name="agentkit-tools", daemon=True)
                self._thread.start()
            thread = self._thread
        if thread is not None:
            thread.join(ARRIVAL_PATIENCE)
        found = self._found
        if found is None or found.reach is not False:
            return None
        return f"tools do not reach the model: {without_addresses(found.detail)}"

    def _find_out(self) -> None:
        found = Arrival(None, "")
        try:
            found = check_arrival(self._backend)
        except Exception as error:  # noqa: BLE001 - the model server's own check reports it
            logger.info("it could not be found out whether tools reach the model: %s", error)
        with self._lock:
            if found.reach is False and (self._found is None or self._found.reach is not False):
                logger.warning("tools do not reach the model: %s", found.detail)
            self._found = found
            self._expires = float("inf") if found.reach else time.monotonic() + ARRIVAL_SECONDS
            self._thread = None


class ModelServer:
    """Checks whether a model server is reachable; a result is cached for one second. url: its API URL; None for a model
    in this process, which is always available. configured_url: the URL given in the settings, for display. tools: the
    check of whether tools reach the model; None where there is nothing to check."""

    def __init__(self, url: str | None, configured_url: str | None = None, tools: ToolArrival | None = None) -> None:
        self._url = url
        self._tools = tools
        self._display_url = configured_url or url
        self._checked = float("-inf")
        self._problem: str | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def display_url(self) -> str:
        """The URL without credentials, for display."""
        return without_credentials(self._display_url) if self._display_url else "in this process"

    def problem(self) -> str | None:
        """Return what is wrong with the server; None when it is available. A caller waits PATIENCE seconds at most for
        what has not been found yet, and none while another one waits, as long as it is known how the server was."""
        if self._url is None:
            return None
        with self._lock:
            age = time.monotonic() - self._checked
            begins = age > CACHE_SECONDS and self._thread is None
            if begins:
                given = (self._url,)
                self._thread = threading.Thread(target=self._find_out, args=given, name="agentkit-model", daemon=True)
                self._thread.start()
            thread, is_known = self._thread, age < KNOWN_SECONDS
        if thread is not None and (begins or not is_known):
            thread.join(PATIENCE if is_known else None)
        return self._problem

    def _find_out(self, url: str) -> None:
        problem: str | None = "the model server can't be asked"
        try:
            problem = self._check(url)
        finally:
            with self._lock:
                self._problem, self._checked, self._thread = problem, time.monotonic(), None

    def degradation(self) -> str | None:
        """Return what an available server does not do that the service needs; None when there is nothing."""
        return self._tools.problem() if self._tools is not None else None

    def _check(self, url: str) -> str | None:
        try:
            with requests.Session() as session:
                session.trust_env = False  # `requests_options` reads it, for this address alone
                response = session.get(
                    f"{url.rstrip('/')}/models", timeout=TIMEOUT, allow_redirects=False, **requests_options(url)
                )
        except ConfigurationError as error:
            return without_addresses(str(error), url)
        except OSError as error:  # requests' own are OSErrors; those of CA certificates are not always among them
            if self._problem is None:
                where = urlsplit(without_credentials(url)).netloc
                logger.warning("%s: can't connect to the model server at %s", type(error).__name__, where)
            return f"{type(error).__name__}: the model server can't be reached"
        # a server that requires a key or does not list models is available
        return f"responded with status {response.status_code}" if response.status_code >= 500 else None
