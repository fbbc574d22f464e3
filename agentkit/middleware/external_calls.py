"""Puts the calls that are answered outside of this program behind the others of a reply.

A run stops at the first call that waits for someone else. So that the calls of the agent's own tools are run before,
wherever the model wrote them, they come first.
"""

from contextlib import closing
from typing import cast

from agentkit._lazy.records import replace
from agentkit.backend import ReplyStream, Request
from agentkit.event import Reply
from agentkit.message import Message, ToolCall
from agentkit.middleware.base import Middleware
from agentkit.toolbox import Toolbox
from agentkit.transcript import calls_of


class ExternalCallsLast(Middleware):
    """Wraps any backend."""

    stops_on_abort = True

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        with closing(self.backend.reply(request)) as deltas:
            for delta in deltas:
                yield _ordered(delta, request.tools) if isinstance(delta, Reply) else delta


def _ordered(reply: Reply, tools: Toolbox) -> Reply:
    calls = reply.message.get("tool_calls") or []
    if len(calls) < 2 or len(calls_of(reply.message)) < len(calls):
        return reply
    waiting = [call for call in calls if _waits(call, tools)]
    ordered = [*(call for call in calls if call not in waiting), *waiting]
    return (
        reply if ordered == calls else replace(reply, message=cast(Message, {**reply.message, "tool_calls": ordered}))
    )


def _waits(call: ToolCall, tools: Toolbox) -> bool:
    function = call["function"]
    found = tools.get(function["name"])
    return found is not None and found.is_external and found.needs_approval(function["arguments"])
