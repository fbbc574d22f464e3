"""The questions of `agentkit doctor`: short, repeatable and limited in time."""

import time
from typing import Any

from agentkit.backend import Backend, ReplyStream, Request
from agentkit.event import Reply
from agentkit.middleware.base import Middleware
from agentkit.middleware.cancellation import Cancellable
from agentkit.net.error_words import status_of, words_of

MAX_TOKENS = 512
"""Tokens of a reply: enough for a call behind some reasoning."""

TIME_LIMIT = 60.0
"""Seconds for the reply to one question."""


class NoReplyError(Exception):
    """There was no reply in time."""


class Questions(Middleware):
    """Sends each request with max_tokens, temperature 0 and a time limit, as far as the server takes them.

    time_limit: in seconds. Raises NoReplyError when it is over.
    """

    def __init__(self, backend: Backend, time_limit: float = TIME_LIMIT) -> None:
        super().__init__(backend)
        self._limited = Cancellable(backend, None, lambda: time.monotonic() + time_limit)
        self._time_limit = time_limit
        self._temperature: int | None = 0
        self._names_of_limit = ["max_tokens", "max_completion_tokens"]

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        while True:
            sent = Request(**{**vars(request), "sampling": self._sampling(request)})
            try:
                yield from self._replied(sent)
                return
            except Exception as error:
                if not self._adapts_to(error):
                    raise

    def _replied(self, request: Request) -> ReplyStream:
        delta = None
        for delta in self._limited.reply(request):
            yield delta
        if not isinstance(delta, Reply):
            raise NoReplyError(f"no reply within {self._time_limit:g} seconds")

    def _sampling(self, request: Request) -> dict[str, Any]:
        fields = {"max_tokens": MAX_TOKENS, **request.sampling, "temperature": self._temperature}
        limit = fields.pop("max_tokens")
        return {**fields, self._names_of_limit[0]: limit} if self._names_of_limit else fields

    def _adapts_to(self, error: Exception) -> bool:
        """Change what a server refuses: reasoning models take no temperature, and max_completion_tokens."""
        if status_of(error) not in (400, 422):
            return False
        words = words_of(error)
        if self._temperature is not None and "temperature" in words:
            self._temperature = None
            return True
        if self._names_of_limit and self._names_of_limit[0] in words:
            del self._names_of_limit[0]
            return True
        return False
