"""smolagents' OpenAIModel, and its agents."""

import contextlib
import io
import json
from typing import Any

from smolagents import OpenAIModel, ToolCallingAgent, tool

from tests.sdks.python.abilities import HELLO, QUESTION, Person, Side, refusal, report, weather


@tool
def get_weather(city: str) -> str:
    """Get the weather.

    Args:
        city: Where.
    """
    return weather(city)


def at(side: Side) -> OpenAIModel:
    return OpenAIModel(side.model, api_base=side.url, api_key="none", client_kwargs={"max_retries": 0})


def chat(side: Side) -> Any:
    return {"text": at(side).generate(HELLO).content}


def streamed(side: Side) -> Any:
    return {"text": "".join(piece.content or "" for piece in at(side).generate_stream(HELLO))}


def tool_call(side: Side) -> Any:
    found = at(side).generate([{"role": "user", "content": QUESTION}], tools_to_call_from=[get_weather]).tool_calls
    return [[each.function.name, json.loads(str(each.function.arguments))] for each in found or ()]


def agent_loop(side: Side, **options: Any) -> Any:
    """It gives the agent a tool for the answer, which the model calls first."""
    with contextlib.redirect_stdout(io.StringIO()):
        agent = ToolCallingAgent([get_weather], at(side), max_steps=3, verbosity_level=0, **options)
        return {"answer": agent.run(QUESTION), "steps": len(agent.memory.steps)}


def structured(side: Side) -> Any:
    form = {"name": "person", "schema": Person.model_json_schema(), "strict": True}
    response_format = {"type": "json_schema", "json_schema": form}
    return {"parsed": json.loads(str(at(side).generate(HELLO, response_format=response_format).content))}


def usage(side: Side) -> Any:
    counted: Any = at(side).generate(HELLO).token_usage
    return [counted.input_tokens, counted.output_tokens]


ABILITIES = {
    "chat": chat,
    "streamed chat": streamed,
    "tool call": tool_call,
    "agent loop": agent_loop,
    "streamed agent loop": lambda side: agent_loop(side, stream_outputs=True),
    "structured output": structured,
    "usage": usage,
    "error of a bad request": lambda side: refusal(lambda: at(side).generate(HELLO, temperature="hot")),
}

if __name__ == "__main__":
    report("smolagents", "smolagents", ABILITIES, at_once=1)  # it writes to the standard output
