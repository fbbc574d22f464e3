"""litellm, to a server of OpenAI's API by its address."""

import json
import os
from typing import Any

from tests.sdks.python.abilities import ASKED, HELLO, TOOL, Person, Side, refusal, report, weather

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "true"  # it is fetched when litellm is imported
import litellm

litellm.suppress_debug_info = True


def at(side: Side) -> dict[str, Any]:
    return {"model": f"openai/{side.model}", "api_base": side.url, "api_key": "none", "num_retries": 0}


def told(choice: Any) -> Any:
    message = choice.message
    calls = [[each.function.name, json.loads(each.function.arguments)] for each in message.tool_calls or ()]
    return {"finish_reason": choice.finish_reason, "text": message.content or None, "calls": calls}


def chat(side: Side, messages: Any, **options: Any) -> Any:
    return told(litellm.completion(**at(side), messages=messages, **options).choices[0])


def streamed(side: Side, messages: Any, **options: Any) -> Any:
    chunks = list(litellm.completion(**at(side), messages=messages, stream=True, **options))
    built: Any = litellm.stream_chunk_builder(chunks, messages=messages)
    return told(built.choices[0])


def agent_loop(side: Side) -> Any:
    messages = [*ASKED]
    while True:
        choice: Any = litellm.completion(**at(side), messages=messages, tools=[TOOL]).choices[0]
        messages.append(choice.message)
        if not choice.message.tool_calls:
            return {"messages": len(messages), **told(choice)}
        for call in choice.message.tool_calls:
            result = weather(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def structured(side: Side, form: Any) -> Any:
    return {"parsed": json.loads(chat(side, HELLO, response_format=form)["text"])}


def usage(side: Side) -> Any:
    options: Any = {"messages": HELLO, "stream": True, "stream_options": {"include_usage": True}}
    counted = [chunk.usage for chunk in litellm.completion(**at(side), **options) if getattr(chunk, "usage", None)]
    return [[each.prompt_tokens, each.completion_tokens] for each in counted]


def respond(side: Side, stream: bool = False) -> Any:
    found: Any = litellm.responses(**at(side), input="Hello", stream=stream)
    if not stream:
        return {"text": found.output[-1].content[0].text}
    return {"text": "".join(event.delta for event in found if event.type == "response.output_text.delta")}


def completion(side: Side) -> Any:
    options = {**at(side), "model": f"text-completion-openai/{side.model}"}
    return {"text": litellm.text_completion(**options, prompt="Hello", max_tokens=8).choices[0].text}


def embeddings(side: Side) -> Any:
    found = litellm.embedding(**at(side), input=["Hello", "Bye"], encoding_format="float").data
    return [[round(value, 4) for value in each["embedding"]] for each in found]


ABILITIES = {
    "chat": lambda side: chat(side, HELLO),
    "streamed chat": lambda side: streamed(side, HELLO),
    "tool call": lambda side: chat(side, ASKED, tools=[TOOL]),
    "streamed tool call": lambda side: streamed(side, ASKED, tools=[TOOL]),
    "tool_choice required": lambda side: chat(side, ASKED, tools=[TOOL], tool_choice="required"),
    "agent loop": agent_loop,
    "structured output": lambda side: structured(side, Person),
    "json mode": lambda side: structured(side, {"type": "json_object"}),
    "usage in streams": usage,
    "error of a bad request": lambda side: refusal(lambda: chat(side, HELLO, temperature="hot")),
    "too long a history": lambda side: refusal(lambda: chat(side, [{"role": "user", "content": "long " * 4000}])),
    "responses": respond,
    "streamed responses": lambda side: respond(side, stream=True),
    "completions": completion,
    "embeddings": embeddings,
}

if __name__ == "__main__":
    report("litellm", "litellm", ABILITIES)
