"""What type checkers infer of the public API: checked by mypy and, in test_typing.py, by pyright; never run."""

from dataclasses import dataclass
from typing import Any, assert_type

from agentkit import Agent, Context, Tool, tool
from agentkit.event import Result
from agentkit.run import Run
from agentkit.sessions import MemorySessions
from tests.support.foreign_tools import Memory, QwenTool


@dataclass
class City:
    name: str


@dataclass
class Deps:
    user: str


@tool(read_only=True, timeout=3)
def find(topic: str, ctx: Context[Deps], *, limit: int = 3) -> list[str]:
    """Find something."""
    assert_type(ctx.deps, Deps)
    return [topic, ctx.deps.user]


@tool
def plain(topic: str, ctx: Context) -> str:
    """Find something."""
    assert_type(ctx.deps, Any)
    return topic


@tool
def ask(topic: str, ctx: Context[Deps]) -> str:
    """Ask another agent."""
    agent = Agent("openai:m", instructions=instructions, output_check=check, parallel=8, tool_timeout=30)
    assert_type(ctx.run(agent, topic, output=City), Result[City])
    assert_type(ctx.run(agent, topic), Result[str])
    ctx.run(topic, topic)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    return ctx.run(agent, [topic], deps=None).output


def instructions(ctx: Context[Deps]) -> str:
    return f"You help {ctx.deps.user}."


def check(answer: str) -> None:
    if not answer:
        raise ValueError("write something")


class Shelf:
    @tool(name="look", ends_run=True)
    def look(self, topic: str) -> int:
        """Look on the shelf."""
        return len(topic)


def calls(shelf: Shelf) -> None:
    assert_type(find("x", Context(deps=Deps("ann"))), list[str])
    assert_type(shelf.look("x"), int)
    find(3, Context(deps=Deps("ann")))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    shelf.look(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    tool(reed_only=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def outputs(agent: Agent, shelf: Shelf, sessions: MemorySessions) -> None:
    assert_type(agent.run("Which city?", output=City).output, City)
    assert_type(agent.run("Which cities?", output=list[City], session=sessions["a"]).output, list[City])
    assert_type(agent.run("Where?", deps=Deps("ann")).output, str)
    assert_type(agent.resume(sessions["a"], output=City, approve={"call_1": True}), Result[City])
    assert_type(agent.stream("Which city?", output=City), Run[City])
    assert_type(agent.run("Which?", output=City | None).output, Any)
    assert_type(list(agent.stream_text("Where?")), list[str])
    assert_type(agent.as_tool("ask", "Asks.", output=City)("x"), City)
    assert_type(agent.as_tool("ask", "Asks.")("x"), str)
    result: Result = agent.run("Where?")
    assert_type(result.output, Any)
    agent.run("Where?", sesion=sessions["a"])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    Agent("openai:m", tools=[find, plain, shelf.look, agent.as_tool("ask", "Asks.", timeout=3)])
    Agent("openai:m", tools=[QwenTool(), Memory()])
    assert_type(agent.as_tool("ask", "Asks.").replace(name="again", timeout=3)("x"), str)
    made: Tool[..., Any] = Tool("f", "d", {"type": "object"}, print, read_only=True, context="ctx")
    assert_type(made.options.read_only, bool)
