"""Starts read-only tools while the reply is still streaming, as soon as the arguments of their call are complete.

A call that was started early is claimed by the call of the complete reply with the same name and arguments; one that
is not claimed (the stream broke, or the reply was discarded) is dropped. Events, counts and the session treat it as if
it had started when the reply was complete. After a call that is not read-only nothing is started early, so that the
order is kept.
"""

from collections.abc import Sequence
from dataclasses import replace

from agentkit.backend import Backend, ReplyStream, Request
from agentkit.middleware.base import Middleware
from agentkit.toolbox import MAX_PARALLEL, RunningCalls, RunToolbox
from agentkit.tools import Context


class EagerTools(Middleware):
    """Wraps any backend for one run and starts the read-only calls of its replies in `toolbox`. For that it requests a
    stream, even where no caller reads it."""

    def __init__(self, backend: Backend, toolbox: RunToolbox, context: Context) -> None:
        super().__init__(backend)
        self._toolbox = toolbox
        self._context = context

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        if request.tools is self._toolbox and self._toolbox.has_read_only:
            request = replace(request, stream=True, begin=self._early_starts())
        return self.backend.reply(request)

    def _early_starts(self) -> "_EarlyStarts":
        early_starts = _EarlyStarts(self._toolbox, self._context)
        self._toolbox.begun = early_starts.begun
        return early_starts


class _EarlyStarts:
    """Starts calls of one reply early."""

    def __init__(self, toolbox: RunToolbox, context: Context) -> None:
        self.begun = RunningCalls(toolbox, context)
        self._toolbox = toolbox
        self._context = context

    def __call__(self, name: str, arguments: str, before: Sequence[str]) -> None:
        is_read_only = all(map(self._toolbox.may_begin_early, (name, *before)))
        if is_read_only and not self._toolbox.latency.is_quick(name) and self._has_room():
            self.begun.begin(name, arguments)

    def _has_room(self) -> bool:
        count, budget = len(self.begun), self._context.budget
        if count >= MAX_PARALLEL or self._context.cancelled:
            return False
        return budget is None or budget.hold_tool_calls(count + 1) > count
