"""Pydantic AI, which is asynchronous: runs at once are tasks of one event loop."""

import asyncio
from collections.abc import Callable

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.usage import UsageLimits

from benchmarks.peers.task import INSTRUCTIONS, QUESTION, look_up

LOOP = asyncio.Runner()
UNLIMITED = UsageLimits(request_limit=None)


def make(url: str, with_tool: bool = True) -> Agent:
    model = OpenAIChatModel("m", provider=OpenAIProvider(base_url=url, api_key="x"))
    return Agent(model, tools=[look_up] if with_tool else [], instructions=INSTRUCTIONS)


def run(agent: Agent) -> str:
    return str(LOOP.run(agent.run(QUESTION, usage_limits=UNLIMITED)).output)


def stream(agent: Agent) -> list[str]:
    async def pieces() -> list[str]:
        async with agent.run_stream(QUESTION) as result:
            return [piece async for piece in result.stream_text(delta=True, debounce_by=None)]

    return LOOP.run(pieces())


def at_once(url: str, count: int) -> Callable[[], None]:
    agent = make(url)

    async def runs() -> None:
        await asyncio.gather(*(agent.run(QUESTION, usage_limits=UNLIMITED) for _ in range(count)))

    return lambda: LOOP.run(runs())
