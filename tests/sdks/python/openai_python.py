"""The package openai: chat completions, responses, and what else the server has."""

import functools
import json
from typing import Any

import openai

from tests.sdks.python.abilities import (
    ASKED,
    BAD,
    HELLO,
    OTHER,
    QUESTION,
    TOOL,
    Person,
    Side,
    refusal,
    report,
    weather,
)

STRICT_TOOL = {"type": "function", "function": {**TOOL["function"], "strict": True}}
RESPONSES_TOOL: Any = {"type": "function", "strict": True, **TOOL["function"]}
GET_TIME: Any = {"type": "function", "function": {"name": "get_time"}}
PERSON_SCHEMA: Any = {
    "type": "json_schema",
    "json_schema": {"name": "person", "strict": True, "schema": Person.model_json_schema()},
}
SUNNY = "It is sunny in Paris."


@functools.cache
def at(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key="none", max_retries=0)


def completions(side: Side) -> Any:
    return functools.partial(at(side.url).chat.completions.create, model=side.model)


def told(choice: Any) -> Any:
    message = choice.message
    calls = [[each.function.name, json.loads(each.function.arguments)] for each in message.tool_calls or ()]
    # beside a call, llama.cpp says "" where OpenAI says null
    return {"finish_reason": choice.finish_reason, "text": message.content or None, "calls": calls}


def chat(side: Side, messages: list[Any], **options: Any) -> Any:
    return told(completions(side)(messages=messages, **options).choices[0])


def streamed(side: Side, messages: list[Any], **options: Any) -> Any:
    text = ""
    with at(side.url).chat.completions.stream(model=side.model, messages=messages, **options) as stream:
        for event in stream:
            if event.type == "content.delta":
                text += event.delta
        return {"streamed": text, **told(stream.get_final_completion().choices[0])}


def pieces(side: Side, messages: list[Any], **options: Any) -> Any:
    """The chunks of a stream, added up by hand as older programs do."""
    text, reasons = "", []
    calls: dict[int, dict[str, str]] = {}
    for chunk in completions(side)(messages=messages, stream=True, **options):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for each in choice.delta.tool_calls or ():
                call = calls.setdefault(each.index, {"name": "", "arguments": ""})
                call["name"] += each.function.name or ""
                call["arguments"] += each.function.arguments or ""
            reasons += [choice.finish_reason] if choice.finish_reason else []
    return {"text": text, "calls": list(calls.values()), "finish_reasons": reasons}


def answered(side: Side, **options: Any) -> tuple[list[Any], Any]:
    """Ask, run the calls, and send their results; returns the messages and the last choice."""
    messages = [*ASKED]
    while True:
        choice = completions(side)(messages=messages, tools=[TOOL], **options).choices[0]
        messages.append(choice.message)
        if not choice.message.tool_calls:
            return messages, choice
        for call in choice.message.tool_calls:
            result = weather(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def tool_result(side: Side) -> Any:
    call = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    messages = [
        *ASKED,
        {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": call}]},
        {"role": "tool", "tool_call_id": "call_1", "content": SUNNY},
    ]
    return chat(side, messages, tools=[TOOL])


def agent_loop(side: Side) -> Any:
    messages, choice = answered(side)
    return {"messages": len(messages), **told(choice)}


def structured(side: Side, **options: Any) -> Any:
    parse = at(side.url).chat.completions.parse
    choice = parse(model=side.model, response_format=Person, **{"messages": HELLO, **options}).choices[0]
    return {"parsed": parsed(choice.message.parsed)}


def parsed(found: Any) -> Any:
    return found.model_dump() if isinstance(found, Person) else {"error": f"not parsed: {found!r}"}


def streamed_structured(side: Side) -> Any:
    options: Any = {"model": side.model, "messages": HELLO, "response_format": Person}
    with at(side.url).chat.completions.stream(**options) as stream:
        return {"parsed": parsed(stream.get_final_completion().choices[0].message.parsed)}


def structured_with_tools(side: Side) -> Any:
    """A call first; after its result, the object."""
    first = told(completions(side)(messages=ASKED, tools=[STRICT_TOOL], response_format=PERSON_SCHEMA).choices[0])
    messages, _ = answered(side)
    return {"first": first, "then": structured(side, messages=messages[:-1])["parsed"]}


def json_mode(side: Side) -> Any:
    return {"parsed": json.loads(chat(side, HELLO, response_format={"type": "json_object"})["text"])}


def models(side: Side) -> Any:
    listed = list(at(side.url).models.list())
    return {"count": len(listed), "ours": listed[0].id == side.model, "object": listed[0].object}


def counted(usage: Any) -> Any:
    return {"prompt": usage.prompt_tokens, "completion": usage.completion_tokens, "total": usage.total_tokens}


def usage(side: Side) -> Any:
    return counted(completions(side)(messages=HELLO).usage)


def streamed_usage(side: Side) -> Any:
    chunks = completions(side)(messages=HELLO, stream=True, stream_options={"include_usage": True})
    return [[len(chunk.choices), counted(chunk.usage)] for chunk in chunks if chunk.usage]


def bad_request(side: Side) -> Any:
    return refusal(lambda: completions(side)(messages=BAD))


def too_long(side: Side) -> Any:
    return refusal(lambda: completions(side)(messages=[{"role": "user", "content": "long " * 4000}]))


def logprobs(side: Side) -> Any:
    choice = completions(side)(messages=HELLO, logprobs=True, top_logprobs=2).choices[0]
    return [[each.token, len(each.top_logprobs)] for each in choice.logprobs.content if each.token]


def items(output: Any) -> Any:
    shown = []
    for item in output:
        if item.type == "function_call":
            shown.append([item.type, item.name, json.loads(item.arguments)])
        else:
            shown.append([item.type, [part.text for part in item.content or ()]])
    return shown


def respond(side: Side, text: Any, **options: Any) -> Any:
    response = at(side.url).responses.create(model=side.model, input=text, **options)
    return {"status": response.status, "text": response.output_text, "output": items(response.output)}


def streamed_response(side: Side, text: Any, **options: Any) -> Any:
    said = ""
    with at(side.url).responses.stream(model=side.model, input=text, **options) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                said += event.delta
        response = stream.get_final_response()
    return {"status": response.status, "text": said, "output": items(response.output)}


def responses_tool_result(side: Side) -> Any:
    create = at(side.url).responses.create
    output = create(model=side.model, input=QUESTION, tools=[RESPONSES_TOOL]).output
    call = next(item for item in output if item.type == "function_call")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": SUNNY}
    return respond(side, [*ASKED, *output, result], tools=[RESPONSES_TOOL])


def structured_response(side: Side) -> Any:
    response = at(side.url).responses.parse(model=side.model, input="Hello", text_format=Person)
    return {"parsed": parsed(response.output_parsed)}


def previous_response(side: Side) -> Any:
    first = at(side.url).responses.create(model=side.model, input="Hello")
    return respond(side, "And now?", previous_response_id=first.id)


def completion(side: Side) -> Any:
    choice = at(side.url).completions.create(model=side.model, prompt="Hello", max_tokens=8).choices[0]
    return {"finish_reason": choice.finish_reason, "text": choice.text}


def streamed_completion(side: Side) -> Any:
    chunks = at(side.url).completions.create(model=side.model, prompt="Hello", max_tokens=8, stream=True)
    return {"text": "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)}


def reasoning(side: Side) -> Any:
    message = completions(side)(messages=HELLO).choices[0].message
    deltas = [chunk.choices[0].delta for chunk in completions(side)(messages=HELLO, stream=True) if chunk.choices]
    streamed = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    return {"text": message.content, "reasoning": message.reasoning_content, "streamed": streamed}


def embeddings(side: Side) -> Any:
    found = at(side.url).embeddings.create(model=side.model, input=["Hello", "Bye"])
    return [[round(value, 4) for value in each.embedding] for each in found.data]


ABILITIES = {
    "chat": lambda side: chat(side, HELLO),
    "streamed chat": lambda side: [streamed(side, HELLO), pieces(side, HELLO)],
    "tool call": lambda side: chat(side, ASKED, tools=[TOOL]),
    "streamed tool call": lambda side: [
        streamed(side, ASKED, tools=[STRICT_TOOL]),
        pieces(side, ASKED, tools=[TOOL]),
    ],
    "tool result": tool_result,
    "tool_choice none": lambda side: chat(side, ASKED, tools=[TOOL], tool_choice="none"),
    "tool_choice required": lambda side: chat(side, ASKED, tools=[TOOL], tool_choice="required"),
    "tool_choice of a function": lambda side: chat(side, ASKED, tools=[TOOL, OTHER], tool_choice=GET_TIME),
    "agent loop": agent_loop,
    "tool call beside the service's tools": lambda side: chat(side, ASKED, tools=[TOOL]),
    "agent loop beside the service's tools": agent_loop,
    "structured output": structured,
    "streamed structured output": streamed_structured,
    "structured output with tools": structured_with_tools,
    "json mode": json_mode,
    "list models": models,
    "usage": usage,
    "usage in streams": streamed_usage,
    "error of a bad request": bad_request,
    "too long a history": too_long,
    "logprobs": logprobs,
    "stop": lambda side: chat(side, HELLO, stop=["n"]),
    "cut off by max_tokens": lambda side: chat(side, HELLO, max_tokens=2),
    "extra_body": lambda side: chat(side, HELLO, seed=7, temperature=0, extra_body={"top_k": 1, "min_p": 0.1}),
    "responses": lambda side: respond(side, "Hello", instructions="Be brief."),
    "streamed responses": lambda side: streamed_response(side, "Hello"),
    "responses tool call": lambda side: respond(side, QUESTION, tools=[RESPONSES_TOOL]),
    "streamed responses tool call": lambda side: streamed_response(side, QUESTION, tools=[RESPONSES_TOOL]),
    "responses tool result": responses_tool_result,
    "responses structured output": structured_response,
    "previous_response_id": previous_response,
    "completions": completion,
    "streamed completions": streamed_completion,
    "reasoning": reasoning,
    "embeddings": embeddings,
}

if __name__ == "__main__":
    report("openai (Python)", "openai", ABILITIES)
