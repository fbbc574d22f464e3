"""The service's own tools as clients of the OpenAI API can use them."""

import functools
from dataclasses import replace
from typing import Any

from agentkit.running.agent_tools import AgentTools, AnyTool
from agentkit.toolbox import Toolbox
from agentkit.tooling.outcome import Outcome, failure
from agentkit.tools import Context, Tool


class WithoutApproval(Tool[..., Any]):
    """A tool of which some calls need a person's approval, which clients of this API can't give: the model is told so
    instead of running them."""

    def __init__(self, tool: Tool[..., Any]) -> None:
        self.__dict__.update(tool.__dict__)
        self.options = replace(tool.options, approve=False)
        self._tool = tool

    @property
    def schema(self) -> dict[str, Any]:
        """See `Tool.schema`."""
        return self._tool.schema

    def answer(self, arguments: str, context: Context) -> Outcome:
        """See `Tool.answer`."""
        if self._tool.needs_approval(arguments):
            return failure(
                f"this call of {self.name} needs a person's approval, which can't be given over this API. It was not "
                "run: tell the user."
            )
        return self._tool.answer(arguments, context)


def service_tools(tools: tuple[AnyTool, ...]) -> tuple[Tool[..., Any], ...]:
    """The tools of a service for clients of this API; the same objects as long as nothing has changed."""
    return _without_approval(_kept(tools).now())


_kept = functools.lru_cache(16)(AgentTools)


@functools.lru_cache(16)
def _without_approval(tools: Toolbox) -> tuple[Tool[..., Any], ...]:
    return tuple(tool if tool.options.approve is False else WithoutApproval(tool) for tool in tools)
