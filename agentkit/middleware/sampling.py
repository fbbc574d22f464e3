"""Sampling fields for every request of a run, over the backend's own."""

from collections.abc import Mapping
from typing import Any

from agentkit._lazy.records import replace
from agentkit.backend import Backend, Capabilities, ReplyStream, Request
from agentkit.middleware.base import Middleware


class Sampling(Middleware):
    """Adds fields such as temperature to each request; those that the request has already stay. fields: as in
    `Request.sampling`."""

    stops_on_abort = True

    def __init__(self, backend: Backend, fields: Mapping[str, Any]) -> None:
        super().__init__(backend)
        self._fields = dict(fields)

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        return self.backend.reply(replace(request, sampling={**self._fields, **request.sampling}))

    def capabilities(self, ask: bool = False) -> Capabilities:
        """See `agentkit.backend.Backend.capabilities`."""
        known = self.backend.capabilities(ask)
        return replace(known, tool_choice=self._fields.get("tool_choice", known.tool_choice))
