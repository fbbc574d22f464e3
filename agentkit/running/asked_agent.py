"""An agent that is the tool of another one."""

from typing import TYPE_CHECKING, Annotated, Any

from agentkit._lazy.records import dataclass, replace
from agentkit.errors import ToolError
from agentkit.tools import Context

if TYPE_CHECKING:
    from agentkit.tooling.pickling import Part


@dataclass(frozen=True)
class AskedAgent:
    """The function of an agent that is a tool. agent: an `agentkit.Agent`. name: of the tool. output: the type of the
    answer."""

    agent: Any
    name: str
    output: Any = str

    def __call__(
        self, task: Annotated[str, "The complete task; it does not see this conversation."], ctx: Context
    ) -> Any:
        """Ask the agent."""
        options = {"deps": ctx.deps, "cancel": ctx.cancel}
        result = self.agent._run_within(ctx, task, options, self.output, f"{self.name}: ")
        ending = "" if result.stopped == "answer" else f"({self.name} stopped early: {result.stopped})"
        if result.stopped == "cancelled":  # nobody reads this, and it is not to be kept
            raise ToolError(ending)
        if self.output is str:
            text = "\n".join(part for part in (result.output, ending) if part)
            return replace(result, output=text) if ending else text  # which says that it is not whole
        if result.output is None and ending:
            raise ToolError(ending)
        return result if ending else result.output

    def pickled_parts(self) -> "list[Part]":
        """The parts of the agent, for the error message when one of them can't be pickled."""
        parts: list[Part] = self.agent._pickled_parts()
        return parts
