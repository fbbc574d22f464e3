"""LangChain: `create_agent` with `ChatOpenAI`."""

from typing import Any

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI

from benchmarks.peers.task import INSTRUCTIONS, QUESTION, look_up

INPUT = {"messages": [{"role": "user", "content": QUESTION}]}
UNLIMITED: Any = {"recursion_limit": 10_000}


def make(url: str, with_tool: bool = True) -> Any:
    model = ChatOpenAI(model="m", base_url=url, api_key="x", stream_usage=True)
    return create_agent(model, tools=[look_up] if with_tool else [], system_prompt=INSTRUCTIONS)


def run(agent: Any) -> str:
    return str(agent.invoke(INPUT, UNLIMITED)["messages"][-1].text)


def stream(agent: Any) -> list[str]:
    return [str(piece.text) for piece, _ in agent.stream(INPUT, stream_mode="messages") if piece.text]
