"""LlamaIndex's OpenAILike, and its agent."""

import asyncio
import json
from typing import Any

from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

from tests.sdks.python.abilities import QUESTION, Person, Side, refusal, report, weather

TOOL = FunctionTool.from_defaults(weather, name="get_weather")
HELLO = [ChatMessage(role="user", content="Hello")]


def at(side: Side, **options: Any) -> Any:
    given = {"is_chat_model": True, "is_function_calling_model": True, "max_retries": 0, **options}
    return OpenAILike(model=side.model, api_base=side.url, api_key="none", context_window=8192, **given)


def calls(model: Any, response: Any) -> Any:
    found = model.get_tool_calls_from_response(response, error_on_no_tool_call=False)
    return [[each.tool_name, each.tool_kwargs] for each in found]


def chat(side: Side) -> Any:
    return {"text": at(side).chat(HELLO).message.content}


def streamed(side: Side) -> Any:
    return {"text": "".join(piece.delta for piece in at(side).stream_chat(HELLO))}


def tool_call(side: Side, **options: Any) -> Any:
    model = at(side)
    return calls(model, model.chat_with_tools([TOOL], QUESTION, **options))


def streamed_tool_call(side: Side) -> Any:
    model = at(side)
    return calls(model, list(model.stream_chat_with_tools([TOOL], QUESTION))[-1])


async def agent(side: Side, **options: Any) -> Any:
    made = FunctionAgent(name="helper", tools=[TOOL], llm=at(side), system_prompt="Be brief.", **options)
    result = await AgentWorkflow(agents=[made], root_agent="helper").run(QUESTION)
    return {"text": str(result.response.content), "tools": [each.tool_name for each in result.tool_calls]}


def structured(side: Side, **options: Any) -> Any:
    return {"parsed": at(side, **options).as_structured_llm(Person).chat(HELLO).raw.model_dump()}


def json_mode(side: Side) -> Any:
    return {"parsed": json.loads(at(side).chat(HELLO, response_format={"type": "json_object"}).message.content)}


def usage(side: Side) -> Any:
    usage = at(side).chat(HELLO).raw.usage
    return [usage.prompt_tokens, usage.completion_tokens]


ABILITIES = {
    "chat": chat,
    "streamed chat": streamed,
    "tool call": tool_call,
    "streamed tool call": streamed_tool_call,
    "tool_choice required": lambda side: tool_call(side, tool_required=True),
    "agent loop": lambda side: asyncio.run(agent(side, streaming=False)),
    "streamed agent loop": lambda side: asyncio.run(agent(side)),
    "structured output": lambda side: structured(side, should_use_structured_outputs=True),
    "structured output by a call": structured,
    "json mode": json_mode,
    "usage": usage,
    "error of a bad request": lambda side: refusal(lambda: at(side).chat(HELLO, temperature="hot")),
    "completions": lambda side: {"text": at(side, is_chat_model=False).complete("Hello", max_tokens=8).text},
}

if __name__ == "__main__":
    report("LlamaIndex", "llama-index-llms-openai-like", ABILITIES)
