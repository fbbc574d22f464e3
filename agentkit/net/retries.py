"""When a failed request to a model server is sent again: by the openai package's rules.

Connection errors, 408, 409, 429 and 5xx are tried again, unless the server says otherwise (`x-should-retry`), after the
time that it asks for (`retry-after-ms`, `Retry-After`), or with exponential back-off and jitter. Refusals because of a
rate (429) end by themselves: where nobody has said how often, they are tried again for as long as WAITED_FOR_RATES; but
those that say that a quota is spent are not tried again.
"""

import random
import threading
from collections.abc import Collection
from typing import Any

from agentkit._lazy.logs import logger_of
from agentkit.net.abort import Aborted, is_aborted, stop_on_abort
from agentkit.net.attempts import may_wait, retries_allowed
from agentkit.net.gates import Turn, gates_here

logger = logger_of("agentkit.run")

DEFAULT_RETRIES = 2
FIRST_BACKOFF, MAX_BACKOFF = 0.5, 8.0
MAX_RETRY_AFTER = 120.0
"""Seconds. What asks for a longer wait is not sent again: the error is raised at once."""
WAITED_FOR_RATES = 60.0
"""Seconds that a request waits in all for a server that refuses it because of a rate."""

MAX_BODY = 100_000
"""Bytes of the body of a refusal that are read."""

_RETRIED = frozenset({408, 409, 429})


class Retries:
    """How often one request was sent again, and whether it is once more.

    most: the maximum; None: DEFAULT_RETRIES, and more for refusals because of a rate. final: statuses after which it is
    not sent again.
    """

    def __init__(self, most: int | None, final: Collection[int] = ()) -> None:
        own = DEFAULT_RETRIES if most is None else most
        self._most = retries_allowed(own)
        self._waits_for_rates = most is None and self._most == own
        self._final = final
        self._count = 0
        self._waited = 0.0
        self.gates = gates_here()
        self._may_wait = may_wait()

    def after_failure(self, error: BaseException | None = None) -> bool:
        """Wait, and return True, if the request is sent again after a failure without a response, or in its body."""
        turn: Turn | None = getattr(error, "turn", None)
        if turn is not None and self._may_wait and turn.is_waited_out():
            return True
        if self._count >= self._most:
            return False
        self._wait(None)
        return True

    def after(self, response: Any) -> bool:
        """Wait, and return True, if the request is sent again after a response with an error status. Raises
        Aborted."""
        status, headers = response.status_code, response.headers
        if not self._is_retried(status, str(headers.get("x-should-retry") or "").lower()):
            return False
        if self._may_wait and response.turn is not None and _is_waited_out(response):
            logger.info("the model server answered with status %d; the request waits for its turn", status)
            return True
        if (status == 429 and _is_final(response)) or (status == 500 and _has_a_call(response)):
            return False
        from agentkit.net.rate_headers import told_by  # of a server that refuses

        told = told_by(headers).retry_after
        if told is not None and told > MAX_RETRY_AFTER:
            return False
        wait = told if told is not None and told > 0 else self._backoff()
        if self._count >= self._most:
            wait = max(wait, FIRST_BACKOFF)
            if not self._waits_for_rates or status != 429 or self._waited + wait > WAITED_FOR_RATES:
                return False
        logger.info("the model server answered with status %d", status)
        response.close()
        self._wait(wait)
        return True

    def _is_retried(self, status: int, said: str) -> bool:
        if status in self._final or said == "false":
            return False
        return said == "true" or status in _RETRIED or status >= 500

    def _backoff(self) -> float:
        return min(FIRST_BACKOFF * 2.0 ** min(self._count, 10), MAX_BACKOFF) * (1 - 0.25 * random.random())

    def _wait(self, seconds: float | None) -> None:
        seconds = self._backoff() if seconds is None else seconds
        self._count += 1
        self._waited += max(seconds, 0.1)
        logger.info("the request is sent again (retry %d) in %.2f s", self._count, seconds)
        wait_unless_aborted(seconds)


def _is_waited_out(response: Any) -> bool:
    """Whether the gate of the server lets a refused request through again, later. What the body says is read."""
    turn: Turn = response.turn
    if not turn.is_waited_out() or _is_final(response):
        return False
    from agentkit.net.refusal_words import seconds_asked, words_of_body

    seconds = seconds_asked(words_of_body(response.beginning(MAX_BODY)))
    if seconds is not None:
        turn.hold(seconds)
    response.close()
    return True


def _is_final(response: Any) -> bool:
    """Whether the words of a refusal say that it does not pass: a spent quota. What the body says is read."""
    from agentkit.net.refusal_words import is_final, words_of_body

    return is_final(words_of_body(response.beginning(MAX_BODY)))


def _has_a_call(response: Any) -> bool:
    """Whether an error has what the model wrote, which its server could not parse: it is read."""
    from agentkit.net.failed_generation import UNPARSED

    return UNPARSED.encode() in response.beginning(MAX_BODY)


SLICE = 5.0
"""Seconds of one wait: Windows does not interrupt a longer one."""


def wait_unless_aborted(seconds: float) -> None:
    """Sleep, but for the request of this thread that is aborted meanwhile: then raise Aborted."""
    stopped = threading.Event()
    stop_on_abort(stopped.set)
    while seconds > 0:  # no clock is asked: a test may have stopped it (freezegun)
        if stopped.wait(min(seconds, SLICE)):
            break
        seconds -= SLICE
    if is_aborted():
        raise Aborted
