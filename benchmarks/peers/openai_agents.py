"""The OpenAI Agents SDK with the API of chat completions. It is asynchronous: runs at once are tasks of one event
loop."""

import asyncio
from collections.abc import Callable

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI

from benchmarks.peers.task import INSTRUCTIONS, QUESTION, look_up

set_tracing_disabled(True)
LOOP = asyncio.Runner()
UNLIMITED = 10_000


def make(url: str, with_tool: bool = True) -> Agent:
    model = OpenAIChatCompletionsModel("m", openai_client=AsyncOpenAI(base_url=url, api_key="x"))
    tools = [function_tool(look_up)] if with_tool else []
    return Agent(name="Researcher", instructions=INSTRUCTIONS, model=model, tools=tools)


def run(agent: Agent) -> str:
    return str(LOOP.run(Runner.run(agent, QUESTION, max_turns=UNLIMITED)).final_output)


def stream(agent: Agent) -> list[str]:
    async def pieces() -> list[str]:
        events = Runner.run_streamed(agent, QUESTION).stream_events()
        raw = [event.data async for event in events if event.type == "raw_response_event"]
        return [data.delta for data in raw if data.type == "response.output_text.delta"]

    return LOOP.run(pieces())


def at_once(url: str, count: int) -> Callable[[], None]:
    agent = make(url)

    async def runs() -> None:
        await asyncio.gather(*(Runner.run(agent, QUESTION, max_turns=UNLIMITED) for _ in range(count)))

    return lambda: LOOP.run(runs())
