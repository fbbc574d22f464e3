"""smolagents, whose agents answer by a call of their tool `final_answer`, and keep their state: runs at once have an
agent each."""

from collections.abc import Callable
from functools import partial

from smolagents import ChatMessageStreamDelta, LogLevel, OpenAIModel, ToolCallingAgent, tool

from benchmarks.peers.in_threads import in_threads
from benchmarks.peers.task import INSTRUCTIONS, QUESTION, look_up

TOOL = tool(look_up)


def make(url: str, with_tool: bool = True) -> ToolCallingAgent:
    return ToolCallingAgent(
        tools=[TOOL] if with_tool else [],
        model=OpenAIModel("m", api_base=url, api_key="x"),
        instructions=INSTRUCTIONS,
        max_steps=10_000,
        verbosity_level=LogLevel.OFF,
    )


def run(agent: ToolCallingAgent) -> str:
    return str(agent.run(QUESTION))


def stream(agent: ToolCallingAgent) -> list[str]:
    agent.stream_outputs = True
    events = agent.run(QUESTION, stream=True)
    return [event.content for event in events if isinstance(event, ChatMessageStreamDelta) and event.content]


def at_once(url: str, count: int) -> Callable[[], None]:
    agents = [make(url) for _ in range(count)]
    return lambda: in_threads([partial(run, agent) for agent in agents])
