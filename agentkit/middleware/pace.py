"""Keeps the requests of all agents that share it within the limits of a server, so that it refuses none.

The limits are those that are given, and those that the server reports in its responses. What is counted is what is
sent: each request of the HTTP client, those that it sends again too.
"""

import functools
import math
import re
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from agentkit._lazy.logs import logger_of
from agentkit.backend import Backend, ReplyStream, Request
from agentkit.errors import ConfigurationError
from agentkit.event import Reply
from agentkit.limits import Usage
from agentkit.middleware.base import Middleware
from agentkit.net.attempts import may_wait
from agentkit.net.exchanges import Onlooker, Sent, seen_by
from agentkit.net.pacing import ClosedError, PaceQueue
from agentkit.net.rate_headers import Told, told_by
from agentkit.net.rate_limits import NEVER, Slot

logger = logger_of("agentkit.run")

BYTES_PER_TOKEN = 4.0
"""Of the JSON of a request, before a server has counted one."""
IMAGE_TOKENS = 1000.0
"""Tokens of an image in a request."""
REPLY_TOKENS = 256.0
"""Tokens of a reply, before one has arrived, of a request without max_tokens."""
LEARNING = 0.2
"""How much the last reply counts in what is expected of the next."""
LONG_WAIT = 1.0
"""Seconds from which on a wait is logged, and a server is not waited for while another model is ready."""

_ENCODED = re.compile(rb"[A-Za-z0-9+/_=-]{2000,}")
_MAX_TOKENS = re.compile(rb'"max_(?:completion_|new_|output_)?tokens":\s?(\d{1,9})')


class Pace:
    """A middleware that waits before a request where a limit would be passed: `Agent(..., middleware=[pace])`, with one
    object for all agents that use the same account.

    requests, tokens: how many within `per` seconds, tokens of requests and replies together. at_once: how many replies
    are received at the same time. None: no limit but what the server says of itself; `Pace()` obeys that alone.

    Servers say it in the headers of their responses: how many requests and tokens are left until when, and
    `Retry-After`, which holds for all who share the object. Who came first is sent first. A wait ends with the run:
    when it is cancelled, closed, or at the end of its seconds, without a request. The tokens of a request are estimated
    from its bytes and its max_tokens, and corrected by the usage of the reply. A copy is the same object; a pickled
    one, and the one in a forked child, has the same limits and begins counting anew.

    Raises ConfigurationError for a limit that is not a number above 0.
    """

    def __init__(
        self,
        requests: int | None = None,
        tokens: int | None = None,
        per: float = 60.0,
        at_once: int | None = None,
    ) -> None:
        self._given: dict[str, Any] = {"requests": requests, "tokens": tokens, "per": per, "at_once": at_once}
        for name, value in self._given.items():
            _check(name, value)
        self.queue = PaceQueue(requests, tokens, per, at_once)
        self.estimate = _Estimate()

    def __call__(self, backend: Backend) -> Backend:
        return _Paced(backend, self)

    @property
    def waiting(self) -> int:
        """How many requests wait now."""
        return self.queue.waiting

    @property
    def running(self) -> int:
        """How many replies are being received now."""
        return self.queue.held

    def __repr__(self) -> str:
        return f"Pace({', '.join(f'{name}={value!r}' for name, value in self._given.items() if value is not None)})"

    def __reduce__(self) -> Any:
        return functools.partial(Pace, **self._given), ()

    def __copy__(self) -> "Pace":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Pace":
        return self


def _check(name: str, value: object) -> None:
    """Raises ConfigurationError for a limit that can't be."""
    if value is None and name != "per":
        return
    is_whole = name in ("requests", "at_once")
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not value > 0 or (is_whole and value != int(value)):  # type: ignore[operator, call-overload]
        kind = "a whole number" if is_whole else "a number of seconds" if name == "per" else "a number"
        also = "" if name == "per" else ", or None for no limit"
        raise ConfigurationError(f"Pace({name}={value!r}): use {kind} above 0{also}")


class _Estimate:
    """How many tokens requests and replies take, from what servers have counted."""

    def __init__(self) -> None:
        self._per_token = BYTES_PER_TOKEN
        self._reply = REPLY_TOKENS

    def tokens(self, body: bytes, size: int, images: int) -> float:
        """The tokens of a request and its reply. body: its JSON. size, images: see `_size`."""
        limits = _MAX_TOKENS.findall(body)
        asked = size / self._per_token + images * IMAGE_TOKENS
        return asked + (float(limits[-1]) if limits else self._reply)

    def learn(self, size: int, images: int, usage: Usage) -> None:
        """Take what a server has counted."""
        asked = usage.input_tokens - images * IMAGE_TOKENS
        if size and asked > 0:
            found = min(20.0, max(1.0, size / asked))
            self._per_token += LEARNING * (found - self._per_token)
        if usage.output_tokens:
            self._reply += LEARNING * (usage.output_tokens - self._reply)


def _size(body: bytes) -> tuple[int, int]:
    """The bytes of a request without the data of its images, and how many of those there are."""
    encoded = [len(found[0]) for found in _ENCODED.finditer(body)]
    return len(body) - sum(encoded), len(encoded)


class _Paced(Middleware):
    """Wraps a backend for an agent. pace: shared by all."""

    def __init__(self, backend: Backend, pace: Pace) -> None:
        super().__init__(backend)
        self._pace = pace
        self._is_seen = False  # whether it sends what can be held back where it is sent

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        turns = _Turns(self._pace, self.capabilities().model)
        try:
            if not self._is_seen:
                turns.wait("", b"".join(request.transcript.each_encoded()))
            yield from self._read(request, turns)
        finally:
            turns.end()

    def _read(self, request: Request, turns: "_Turns") -> ReplyStream:
        with closing(self.backend.reply(request)) as deltas:
            for delta in seen_by(turns, deltas):
                self._is_seen = self._is_seen or turns.has_seen
                if isinstance(delta, Reply):
                    turns.finish(delta.usage)
                yield delta


def _refused(address: str, seconds: float) -> Exception:
    """What a server would answer that is not asked, since it takes no requests for so long."""
    import httpx2

    from agentkit.net.api_errors import status_error

    said = f"{address} has said that it takes no requests for {seconds:.0f} s: it was not asked, another model is ready"
    headers = {"retry-after": str(math.ceil(seconds))}
    return status_error(429, said, httpx2.Response(429, headers=headers, request=httpx2.Request("POST", address)))


class _Turns(Onlooker):
    """Waits for the turn of each request of one reply. has_seen: whether there was a request."""

    def __init__(self, pace: Pace, model: str) -> None:
        self.has_seen = False
        self._pace = pace
        self._queue = pace.queue
        self._place = pace.queue.place()
        self._model = model
        self._slot: Slot | None = None
        self._size = 0, 0
        self._is_ahead = False

    def wait(self, address: str, body: bytes) -> None:
        """Wait for the turn of a request. address: of the server; "" ahead of a backend that perhaps sends it in its
        own way."""
        self._is_ahead = not address
        self._size = _size(body)
        tokens = self._pace.estimate.tokens(body, *self._size)
        started = time.monotonic()
        patience = NEVER if may_wait() else LONG_WAIT  # else another model is ready
        try:
            self._slot = self._queue.turn(self._place, address, self._model, tokens, patience)
        except ClosedError as closed:
            raise _refused(address, closed.seconds) from None
        waited = time.monotonic() - started
        if waited >= LONG_WAIT:
            logger.info("the request was held back for %.1f s by %r", waited, self._pace)

    def replayed(self, sent: Sent) -> None:
        """See `Onlooker.replayed`."""
        self.has_seen = True
        self._give_back_ahead()

    def sending(self, sent: Sent) -> None:
        """See `Onlooker.sending`."""
        self.has_seen = True
        self._give_back_ahead()
        parts = urlsplit(sent.url)
        self.wait(f"{parts.scheme}://{parts.netloc}", sent.body)

    def answered(self, sent: Sent, status: int, headers: Mapping[str, str]) -> None:
        """See `Onlooker.answered`."""
        self._note(status, told_by(headers))

    def failed(self, sent: Sent) -> None:
        """See `Onlooker.failed`."""
        self._note(0, Told())

    def finish(self, usage: Usage) -> None:
        """The reply is there."""
        tokens = usage.input_tokens + usage.output_tokens
        if self._slot is None or not tokens:
            return
        self._queue.correct(self._slot, tokens)
        if not self._is_ahead:
            self._pace.estimate.learn(*self._size, usage)

    def end(self) -> None:
        """The reply has ended, or nobody reads it."""
        if self._is_ahead and self._slot is not None:
            slot, self._slot = self._slot, None
            self._queue.note(slot, 200, Told())
        self._queue.release(self._place)

    def _note(self, status: int, told: Told) -> None:
        if self._slot is not None:
            self._queue.note(self._slot, status, told)
        if not 0 < status < 400:
            self._slot = None

    def _give_back_ahead(self) -> None:
        if self._is_ahead and self._slot is not None:
            self._queue.give_back(self._slot)
            self._slot = None
