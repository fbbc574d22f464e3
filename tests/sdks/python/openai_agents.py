"""The OpenAI Agents SDK, whose own loop runs the client's tools."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from agents import (
    Agent,
    ItemHelpers,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI

from tests.sdks.python.abilities import QUESTION, Ability, Person, Side, report, weather

set_tracing_disabled(True)

Run = Callable[..., Awaitable[Any]]


@function_tool
def get_weather(city: str) -> str:
    """Get the weather."""
    return weather(city)


def agent(side: Side, client: AsyncOpenAI, responses: bool = False, **options: Any) -> Any:
    kind: Any = OpenAIResponsesModel if responses else OpenAIChatCompletionsModel
    return Agent(name="Helper", instructions="Be brief.", model=kind(side.model, client), **options)


def steps(result: Any) -> Any:
    """What happened in a run."""
    shown: list[Any] = []
    for item in result.new_items:
        if item.type == "message_output_item":
            shown.append(ItemHelpers.text_message_output(item))
        elif item.type == "tool_call_item":
            shown.append([item.raw_item.name, item.raw_item.arguments])
        elif item.type == "tool_call_output_item":
            shown.append([item.type, item.output])
        else:
            shown.append(item.type)
    output = result.final_output
    return {"output": output.model_dump() if isinstance(output, Person) else output, "steps": shown}


async def whole(made: Any, text: Any, **options: Any) -> Any:
    return steps(await Runner.run(made, text, **options))


async def streamed(made: Any, text: Any, **options: Any) -> Any:
    result, said = Runner.run_streamed(made, text, **options), ""
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            said += event.data.delta
    return {"streamed": said, **steps(result)}


def asked(run: Run, text: str = "Hello", **options: Any) -> Ability:
    """An ability: one run of an agent."""

    async def one(side: Side) -> Any:
        async with AsyncOpenAI(base_url=side.url, api_key="none", max_retries=0) as client:
            return await run(agent(side, client, **options), text)

    return lambda side: asyncio.run(one(side))


async def handoff(side: Side) -> Any:
    async with AsyncOpenAI(base_url=side.url, api_key="none", max_retries=0) as client:
        specialist = agent(side, client).clone(name="Meteorologist")
        return await whole(agent(side, client, handoffs=[specialist]), QUESTION)


async def nested(side: Side) -> Any:
    async with AsyncOpenAI(base_url=side.url, api_key="none", max_retries=0) as client:
        inner = agent(side, client, tools=[get_weather])
        outer = inner.as_tool("ask_meteorologist", "Ask about the weather.")
        return await whole(agent(side, client, tools=[outer]), QUESTION)


async def session(side: Side, responses: bool = False) -> Any:
    async with AsyncOpenAI(base_url=side.url, api_key="none", max_retries=0) as client:
        made, kept = agent(side, client, responses, tools=[get_weather]), SQLiteSession("one")
        await Runner.run(made, QUESTION, session=kept)
        return await whole(made, "And in Rome?", session=kept)


async def previous_response(side: Side) -> Any:
    async with AsyncOpenAI(base_url=side.url, api_key="none", max_retries=0) as client:
        made = agent(side, client, responses=True, tools=[get_weather])
        first = await Runner.run(made, QUESTION)
        return await whole(made, "And in Rome?", previous_response_id=first.last_response_id)


async def usage(made: Any, text: str) -> Any:
    counted = (await Runner.run(made, text)).context_wrapper.usage
    return [counted.requests, counted.input_tokens]


async def bad_request(side: Side) -> Any:
    async with AsyncOpenAI(base_url=side.url, api_key="none", max_retries=0) as client:
        made = agent(side, client, model_settings=ModelSettings(extra_body={"messages": 7}))
        try:
            await Runner.run(made, "Hello")
        except Exception as error:  # noqa: BLE001  # whatever the SDK raises is the outcome
            return {"status": getattr(error, "status_code", None), "type": type(error).__name__}
        return {"error": "nothing was raised"}


TOOLS = {"tools": [get_weather]}
NONE, REQUIRED = (ModelSettings(tool_choice=choice) for choice in ("none", "required"))
NAMED = ModelSettings(tool_choice="get_weather")

ABILITIES: dict[str, Ability] = {
    "chat": asked(whole),
    "streamed chat": asked(streamed),
    "tool call": asked(whole, QUESTION, **TOOLS, tool_use_behavior="stop_on_first_tool"),
    "streamed tool call": asked(streamed, QUESTION, **TOOLS, tool_use_behavior="stop_on_first_tool"),
    "tool_choice none": asked(whole, QUESTION, **TOOLS, model_settings=NONE),
    "tool_choice required": asked(whole, QUESTION, **TOOLS, model_settings=REQUIRED),
    "tool_choice of a function": asked(whole, QUESTION, **TOOLS, model_settings=NAMED),
    "agent loop": asked(whole, QUESTION, **TOOLS),
    "streamed agent loop": asked(streamed, QUESTION, **TOOLS),
    "handoff": lambda side: asyncio.run(handoff(side)),
    "agent as a tool": lambda side: asyncio.run(nested(side)),
    "conversation with tools": lambda side: asyncio.run(session(side)),
    "tool call beside the service's tools": asked(whole, QUESTION, **TOOLS, tool_use_behavior="stop_on_first_tool"),
    "agent loop beside the service's tools": asked(streamed, QUESTION, **TOOLS),
    "structured output": asked(whole, output_type=Person),
    "streamed structured output": asked(streamed, output_type=Person),
    "structured output with tools": asked(whole, QUESTION, **TOOLS, output_type=Person),
    "usage": asked(usage, QUESTION, **TOOLS),
    "error of a bad request": lambda side: asyncio.run(bad_request(side)),
    "responses": asked(whole, responses=True),
    "streamed responses": asked(streamed, responses=True),
    "responses agent loop": asked(whole, QUESTION, **TOOLS, responses=True),
    "streamed responses agent loop": asked(streamed, QUESTION, **TOOLS, responses=True),
    "responses conversation": lambda side: asyncio.run(session(side, responses=True)),
    "responses structured output": asked(whole, responses=True, output_type=Person),
    "previous_response_id": lambda side: asyncio.run(previous_response(side)),
}

if __name__ == "__main__":
    report("OpenAI Agents SDK", "openai-agents", ABILITIES)
