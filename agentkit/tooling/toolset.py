"""Tools that come together from one place and may change, such as those of an MCP server."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from agentkit.tools import Tool

GIVES_UP: ContextVar[Callable[[], bool] | None] = ContextVar("gives_up", default=None)
"""While a run begins that asks for tools: whether it waits for them no longer. None: nothing can end it."""


class Toolset(ABC):
    """Tools from one place. In `Agent(tools=[...])` it stands for all of them; the next run of the agent has those that
    there are then, and a run with tool search those that there are at each call. Shared by threads.

    label: a word for the place, which begins the name of a tool that would have the name of another one.
    """

    label: str

    def begin(self) -> None:
        """Begin to get the tools, without waiting: several toolsets do so at once."""
        return

    @abstractmethod
    def tools(self) -> Sequence[Tool[..., Any]]:
        """The tools that there are now, in an order that stays. Waits for the first ones, until the run GIVES_UP; later
        it is called often, and returns the same object as long as nothing has changed."""

    def close(self) -> None:
        """Release what it holds. It may be used again."""
        return
