"""Starts read-only tools while the reply is still streaming, as soon as the arguments of their call are complete.

A call that was started early is claimed by the call of the complete reply with the same name and arguments; one that
is not claimed (the stream broke, or the reply was discarded) is told to stop. Events, counts and the session treat it
as if it had started when the reply was complete. After a call that is not read-only nothing is started early, so that
the order is kept.
"""

from agentkit._lazy.records import replace
from agentkit.backend import Backend, ReplyStream, Request
from agentkit.executor import Executor
from agentkit.middleware.base import Middleware


class EagerTools(Middleware):
    """Wraps any backend for one run and has `executor` start the read-only calls of its replies. For that it requests a
    stream, even where no caller reads it, unless all of the tools that were called so far were quick."""

    stops_on_abort = True

    def __init__(self, backend: Backend, executor: Executor) -> None:
        super().__init__(backend)
        self._executor = executor

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        is_shown = request.stream
        if request.tools.has_read_only and (is_shown or self._executor.gains_from_stream()):
            request = replace(request, stream=True, is_shown=is_shown, begin=self._executor.new_reply())
        else:
            self._executor.leave_begun()
        return self.backend.reply(request)
