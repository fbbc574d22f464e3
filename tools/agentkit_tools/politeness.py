"""How a site wants to be visited: robots.txt (RFC 9309), its crawl delay, Retry-After, and few requests at a time."""

import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from protego import Protego

from agentkit import FetchError, Page
from agentkit.errors import BlockedAddressError, StatusError

ROBOT = "agentkit"
"""The name by which robots.txt addresses this user agent."""
AT_ONCE = 2
"""Maximum number of requests to one host at the same time."""
MAX_DELAY = 10.0
"""Maximum crawl delay that is honoured, in seconds."""
ROBOTS_AGE, FAILURE_AGE = 86_400.0, 60.0
"""Seconds for which the answer to a request for robots.txt holds, and for which a failure does."""
RETRIES, MAX_HOLD_OFF = 2, 600.0
"""How often a request is sent again when the server says after what time, and the maximum of seconds that the other
requests to its host wait for that."""
ROBOTS_BYTES = 512_000
ROBOTS_SECONDS = 10.0
HOSTS = 1_000
"""Maximum number of hosts that are remembered."""


@dataclass(frozen=True)
class Rules:
    """What a robots.txt says. refusal: why no page may be fetched, if so. until: the monotonic time it holds."""

    parsed: Protego | None
    refusal: str
    until: float

    def refuses(self, url: str) -> str:
        """Returns why a page may not be fetched; "" if it may."""
        if self.refusal or self.parsed is None or self.parsed.can_fetch(url, ROBOT):
            return self.refusal
        return "the site's robots.txt does not allow it"

    @property
    def delay(self) -> float:
        """The seconds between two requests that the site asks for, as far as they are honoured."""
        asked = (None if self.parsed is None else self.parsed.crawl_delay(ROBOT)) or 0.0
        return min(asked, MAX_DELAY) if asked > 0 else 0.0  # "nan" can be parsed too


@dataclass
class _Host:
    """What is known of a host and port, for all tools of the process."""

    slots: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(AT_ONCE))
    lock: threading.Lock = field(default_factory=threading.Lock)
    reading: threading.Lock = field(default_factory=threading.Lock)
    rules: Rules | None = None
    next_request: float = 0.0

    def forget_threads(self) -> None:
        """After a fork, which no other thread survives."""
        self.slots, self.lock, self.reading = threading.BoundedSemaphore(AT_ONCE), threading.Lock(), threading.Lock()

    def reserve(self, delay: float, seconds: float) -> float:
        """Returns how many seconds to wait before the next request, which then is this one's. Raises FetchError when
        they are more than `seconds`."""
        now = time.monotonic()
        with self.lock:
            wait = max(0.0, self.next_request - now)
            if wait > seconds:
                raise FetchError(f"its site asks to wait {wait:.0f} seconds before the next request")
            self.next_request = now + wait + delay
        return wait

    def hold_off(self, seconds: float) -> None:
        """Send nothing to the host for some seconds."""
        with self.lock:
            self.next_request = max(self.next_request, time.monotonic() + seconds)


class Hosts:
    """The hosts that were visited last."""

    def __init__(self) -> None:
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, url: str) -> _Host:
        """The host of a URL."""
        name = _site(url).lower()
        with self._lock:
            host = self._hosts.setdefault(name, _Host())
            self._hosts.move_to_end(name)
            while len(self._hosts) > HOSTS:
                self._hosts.popitem(last=False)
            return host

    def clear(self) -> None:
        """Forget all hosts."""
        with self._lock:
            self._hosts.clear()

    def forget_threads(self) -> None:
        """After a fork: nobody visits a host, or waits for it; what its rules ask for stays known."""
        self._lock = threading.Lock()
        for host in self._hosts.values():
            host.forget_threads()


HOSTS_OF_PROCESS = Hosts()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=HOSTS_OF_PROCESS.forget_threads)
Get = Callable[..., Page]
"""`agentkit.fetch` with the options of the tool: called with a URL and `timeout`."""


@dataclass(frozen=True)
class Visit:
    """One visit to a page. get: the guarded GET. robots: whether robots.txt is respected. seconds: for all of it."""

    get: Get
    robots: bool
    seconds: float

    def page(self, url: str) -> Page:
        """Returns the page. Raises FetchError as `agentkit.fetch`, and when the site does not want the visit."""
        host = HOSTS_OF_PROCESS.of(url)
        with _slot(host, self.seconds, url):
            end, seconds = time.monotonic() + self.seconds, self.seconds
            for _ in range(RETRIES):
                found = self._request(url, seconds, end)
                if isinstance(found, Page):
                    return found
                host.hold_off(min(found, MAX_HOLD_OFF))
                seconds = round(_left(end), 1)
            return self.get(url, timeout=seconds, permit=lambda each: self._permit(each, end))

    def _request(self, url: str, seconds: float, end: float) -> Page | float:
        """Returns the page, or after how many seconds, before `end`, the server asks to try again."""
        try:
            return self.get(url, timeout=seconds, permit=lambda each: self._permit(each, end))
        except StatusError as error:
            wait = retry_after(error)
            if wait is None:
                raise
            if time.monotonic() + wait >= end:
                HOSTS_OF_PROCESS.of(url).hold_off(min(wait, MAX_HOLD_OFF))
                raise _asked_to_wait(error, wait) from None
            return wait

    def _permit(self, url: str, end: float) -> None:
        """Waits until a request may be sent. Raises FetchError when it may not."""
        host = HOSTS_OF_PROCESS.of(url)
        delay = 0.0
        if self.robots:
            rules = self._rules(host, url, end)
            why = rules.refuses(url)
            if why:
                raise FetchError(f"{_shown(url)} was not fetched: {why}")
            delay = rules.delay
        try:
            time.sleep(host.reserve(delay, _left(end)))
        except FetchError as error:
            raise FetchError(f"{_shown(url)} was not fetched: {error}") from None

    def _rules(self, host: _Host, url: str, end: float) -> Rules:
        with host.reading:  # one request for it, however many pages wait
            if host.rules is None or host.rules.until < time.monotonic():
                host.rules = self._read_rules(url, min(ROBOTS_SECONDS, _left(end)))
            return host.rules

    def _read_rules(self, url: str, seconds: float) -> Rules:
        """Returns what robots.txt says: all is allowed where there is none (4xx), and nothing where the server fails,
        as RFC 9309 has it."""
        now = time.monotonic()
        try:
            page = self.get(f"{_site(url)}/robots.txt", timeout=seconds, max_bytes=ROBOTS_BYTES)
        except StatusError as error:
            if error.status < 500:
                return Rules(None, "", now + ROBOTS_AGE)
            why = f"its site's robots.txt can't be read (the server answers {error.status}); try again later"
            return Rules(None, why, now + FAILURE_AGE)
        except BlockedAddressError:  # it redirects to where nobody may go
            return Rules(None, "", now + ROBOTS_AGE)
        except FetchError as error:
            return Rules(None, f"its site's robots.txt can't be read ({error})", now + FAILURE_AGE)
        return Rules(Protego.parse(page.text.lstrip("\ufeff")), "", now + ROBOTS_AGE)


def retry_after(error: StatusError) -> float | None:
    """Returns the seconds after which a server asks to try again; None when it does not."""
    if error.status not in (429, 503):
        return None
    return _seconds(error.headers)


def _seconds(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return min(float(value), 1e9)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _asked_to_wait(error: StatusError, wait: float) -> StatusError:
    message = f"{error}, and asks to try again after {wait:.0f} seconds"
    return StatusError(message, error.status, error.headers, error.content)


@contextmanager
def _slot(host: _Host, seconds: float, url: str) -> Iterator[None]:
    slots = host.slots
    if not slots.acquire(timeout=seconds):
        raise FetchError(
            f"{_shown(url)} was not fetched: other requests to its site took longer than {seconds:g} seconds"
        )
    try:
        yield
    finally:
        slots.release()


def _left(end: float) -> float:
    return max(0.001, end - time.monotonic())


def _site(url: str) -> str:
    """Returns scheme, host and port of a URL; "" of one that is not valid, which is fetched by nobody."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}"


def _shown(url: str) -> str:
    return re.sub(r"//[^/?#]*@", "//", url[:300])
