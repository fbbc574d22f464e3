"""Logs what a run asks of its model, without the content of any message: names, counts, durations, status."""

import time

from agentkit._lazy.lines import lines_alone
from agentkit._lazy.logs import DEBUG, INFO, loaded_logger
from agentkit._text import in_a_line
from agentkit.backend import Backend, ReplyStream, Request
from agentkit.event import Reply
from agentkit.limits import Budget
from agentkit.middleware.base import Middleware, model_name

logger = loaded_logger("agentkit.run")

_REPLIED = "turn %d: %s replied in %.2f s: %d + %d tokens, %d tool calls, finish_reason %s"

MAX_NAME = 80
"""Characters of a name that are logged."""


class Logged(Middleware):
    """Wraps any backend. budget: of the run, which counts its turns."""

    stops_on_abort = True

    def __init__(self, backend: Backend, budget: Budget) -> None:
        super().__init__(backend)
        self._budget = budget
        self._model = in_a_line(model_name(backend), MAX_NAME)

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        turn, started = self._budget.turn, time.monotonic()
        if logger.isEnabledFor(DEBUG):
            counts = len(request.transcript), len(request.tools)
            logger.debug("turn %d: request to %s: %d messages, %d tools", turn, self._model, *counts)
        try:
            deltas = self.backend.reply(request)
            try:
                for delta in deltas:
                    self._note(turn, delta, started)
                    yield delta
            finally:
                deltas.close()
        except Exception as error:
            seconds, kind = time.monotonic() - started, type(error).__name__
            logger.info("turn %d: %s failed after %.2f s: %s%s", turn, self._model, seconds, kind, _status(error))
            raise

    def _note(self, turn: int, reply: object, started: float) -> None:
        if not isinstance(reply, Reply) or not logger.isEnabledFor(INFO):
            return
        usage, calls = reply.usage, len(reply.message.get("tool_calls") or ())
        ended, seconds = in_a_line(reply.finish_reason, MAX_NAME) or "-", time.monotonic() - started
        values = (turn, self._model, seconds, usage.input_tokens, usage.output_tokens, calls, ended)
        lines = lines_alone(logger)
        if lines is None or not lines.write_info(_REPLIED % values):
            logger.info(_REPLIED, *values)


def _status(error: Exception) -> str:
    status = getattr(error, "status_code", None)
    return f" (status {status})" if isinstance(status, int) else ""
