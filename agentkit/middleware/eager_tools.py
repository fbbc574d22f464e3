"""Read-only tools that start while the reply still comes: as soon as the arguments of their own call are closed.

A call that is begun early is claimed by the call of the whole reply that has its name and arguments; what nobody
claims (the stream broke, the reply came otherwise) is forgotten. It is told, counted and stored when the reply is
whole, as if it had begun then. Behind a call that changes something nothing is begun, so that order is kept.
"""

from collections.abc import Sequence
from dataclasses import replace

from agentkit.backend import Backend, Pieces, Request
from agentkit.toolbox import MAX_PARALLEL, RunningCalls, RunToolbox
from agentkit.tools import Context


class EagerTools:
    """Wraps any backend for one run, and begins the read-only calls of its replies in `toolbox`; it asks for a stream
    to that end, also where nobody reads it."""

    def __init__(self, backend: Backend, toolbox: RunToolbox, context: Context) -> None:
        self._backend = backend
        self._toolbox = toolbox
        self._context = context

    def __repr__(self) -> str:
        return repr(self._backend)

    def reply(self, request: Request) -> Pieces:
        """See `agentkit.backend.Backend.reply`."""
        if request.tools is self._toolbox and self._toolbox.has_read_only:
            request = replace(request, stream=True, begin=self._beginner())
        return self._backend.reply(request)

    def close(self) -> None:
        """See `agentkit.backend.Backend.close`."""
        self._backend.close()

    def _beginner(self) -> "_EarlyStarts":
        beginner = _EarlyStarts(self._toolbox, self._context)
        self._toolbox.begun = beginner.begun
        return beginner


class _EarlyStarts:
    """Begins the calls of one reply."""

    def __init__(self, toolbox: RunToolbox, context: Context) -> None:
        self.begun = RunningCalls(toolbox, context)
        self._toolbox = toolbox
        self._context = context

    def __call__(self, name: str, arguments: str, before: Sequence[str]) -> None:
        is_read_only = all(map(self._toolbox.may_begin_early, (name, *before)))
        if is_read_only and not self._toolbox.pace.is_quick(name) and self._has_room():
            self.begun.begin(name, arguments)

    def _has_room(self) -> bool:
        count, budget = len(self.begun), self._context.budget
        if count >= MAX_PARALLEL or self._context.cancelled:
            return False
        return budget is None or budget.hold_tool_calls(count + 1) > count
