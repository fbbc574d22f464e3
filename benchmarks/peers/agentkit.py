"""agentkit, with all that it does by default, and a tool that may run beside others."""

import agentkit
from agentkit import Agent, Limits
from benchmarks.peers.task import INSTRUCTIONS, QUESTION, look_up

UNLIMITED = Limits(turns=None, repeats=None)  # the server makes the same call each time


def make(url: str, with_tool: bool = True) -> Agent:
    tools = [agentkit.tool(read_only=True)(look_up)] if with_tool else []
    return Agent(f"openai:m@{url}", tools=tools, instructions=INSTRUCTIONS, limits=UNLIMITED)


def run(agent: Agent) -> str:
    return agent.run(QUESTION).output


def stream(agent: Agent) -> list[str]:
    return list(agent.stream_text(QUESTION))
