"""LangChain's ChatOpenAI."""

import functools
import json
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, BaseMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

from tests.sdks.python.abilities import BAD, HELLO, OTHER, QUESTION, Person, Side, refusal, report, weather


@tool
def get_weather(city: str) -> str:
    """Get the weather."""
    return weather(city)


@functools.cache
def at(side: Side, **options: Any) -> Any:
    return ChatOpenAI(model=side.model, base_url=side.url, api_key="none", max_retries=0, **options)


def told(message: BaseMessage) -> Any:
    calls = [[call["name"], call["args"]] for call in getattr(message, "tool_calls", ())]
    reason = message.response_metadata.get("finish_reason") or message.response_metadata.get("status")
    return {"finish_reason": reason, "text": message.text, "calls": calls}


def gathered(model: Any, question: Any) -> Any:
    whole: BaseMessageChunk | None = None
    for chunk in model.stream(question):
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    return whole


def streamed(model: Any, question: Any) -> Any:
    return told(gathered(model, question))


def with_tool(side: Side, **options: Any) -> Any:
    return at(side).bind_tools([get_weather], **options)


def tool_result(side: Side) -> Any:
    call = {"name": "get_weather", "args": {"city": "Paris"}, "id": "call_1"}
    messages = [
        HumanMessage(QUESTION),
        AIMessage("", tool_calls=[call]),
        ToolMessage(weather("Paris"), tool_call_id="call_1"),
    ]
    return told(with_tool(side).invoke(messages))


def agent_loop(side: Side, **options: Any) -> Any:
    model = at(side, **options).bind_tools([get_weather])
    messages: list[BaseMessage] = [HumanMessage(QUESTION)]
    while True:
        reply = model.invoke(messages)
        messages.append(reply)
        if not reply.tool_calls:
            return {"messages": len(messages), **told(reply)}
        messages += [get_weather.invoke(call) for call in reply.tool_calls]


def structured(side: Side, method: str, **options: Any) -> Any:
    model = at(side).with_structured_output(Person, method=method, **options)
    return {"parsed": model.invoke("Hello").model_dump()}


def streamed_structured(side: Side) -> Any:
    model = at(side).with_structured_output(Person, method="json_schema", strict=True)
    return {"parsed": list(model.stream("Hello"))[-1].model_dump()}


def json_mode(side: Side) -> Any:
    return {"parsed": json.loads(at(side).bind(response_format={"type": "json_object"}).invoke("Hello").text)}


def usage(side: Side) -> Any:
    return counted(at(side).invoke("Hello"))


def streamed_usage(side: Side) -> Any:
    return counted(gathered(at(side, stream_usage=True), "Hello"))


def counted(message: Any) -> Any:
    return [message.usage_metadata[key] for key in ("input_tokens", "output_tokens", "total_tokens")]


def bad_request(side: Side) -> Any:
    return refusal(lambda: at(side).root_client.chat.completions.create(model=side.model, messages=BAD))


def logprobs(side: Side) -> Any:
    content = at(side, logprobs=True, top_logprobs=2).invoke("Hello").response_metadata["logprobs"]["content"]
    return [[each["token"], len(each["top_logprobs"])] for each in content if each["token"]]


def respond(side: Side, question: Any, **options: Any) -> Any:
    return told(at(side, use_responses_api=True, **options).invoke(question))


def responses_tool_call(side: Side) -> Any:
    return told(at(side, use_responses_api=True).bind_tools([get_weather]).invoke(QUESTION))


def streamed_responses_tool_call(side: Side) -> Any:
    return streamed(at(side, use_responses_api=True).bind_tools([get_weather]), QUESTION)


def structured_response(side: Side) -> Any:
    model = at(side, use_responses_api=True).with_structured_output(Person, method="json_schema", strict=True)
    return {"parsed": model.invoke("Hello").model_dump()}


def previous_response(side: Side) -> Any:
    model = at(side, use_responses_api=True, use_previous_response_id=True)
    first = model.invoke("Hello")
    return told(model.invoke([HumanMessage("Hello"), first, HumanMessage("And now?")]))


def completion(side: Side, stream: bool = False) -> Any:
    model: Any = OpenAI(model=side.model, base_url=side.url, api_key="none", max_retries=0, max_tokens=8)
    return {"text": "".join(model.stream("Hello")) if stream else model.invoke("Hello")}


def embeddings(side: Side) -> Any:
    options: Any = {"base_url": side.url, "api_key": "none", "max_retries": 0, "check_embedding_ctx_length": False}
    found = OpenAIEmbeddings(model=side.model, **options).embed_documents(["Hello", "Bye"])
    return [[round(value, 4) for value in each] for each in found]


ABILITIES = {
    "chat": lambda side: told(at(side).invoke(HELLO)),
    "streamed chat": lambda side: streamed(at(side), HELLO),
    "tool call": lambda side: told(with_tool(side).invoke(QUESTION)),
    "streamed tool call": lambda side: streamed(with_tool(side), QUESTION),
    "tool result": tool_result,
    "tool_choice none": lambda side: told(with_tool(side, tool_choice="none").invoke(QUESTION)),
    "tool_choice required": lambda side: told(with_tool(side, tool_choice="any").invoke(QUESTION)),
    "tool_choice of a function": lambda side: told(
        at(side).bind_tools([get_weather, OTHER], tool_choice="get_time").invoke(QUESTION)
    ),
    "agent loop": agent_loop,
    "streamed agent loop": lambda side: agent_loop(side, streaming=True),
    "structured output": lambda side: structured(side, "json_schema", strict=True),
    "structured output by a call": lambda side: structured(side, "function_calling"),
    "streamed structured output": streamed_structured,
    "json mode": json_mode,
    "usage": usage,
    "usage in streams": streamed_usage,
    "error of a bad request": bad_request,
    "logprobs": logprobs,
    "responses": lambda side: respond(side, HELLO),
    "streamed responses": lambda side: streamed(at(side, use_responses_api=True), HELLO),
    "responses tool call": responses_tool_call,
    "streamed responses tool call": streamed_responses_tool_call,
    "responses agent loop": lambda side: agent_loop(side, use_responses_api=True),
    "responses structured output": structured_response,
    "previous_response_id": previous_response,
    "completions": completion,
    "streamed completions": lambda side: completion(side, stream=True),
    "embeddings": embeddings,
}

if __name__ == "__main__":
    report("langchain-openai", "langchain-openai", ABILITIES)
