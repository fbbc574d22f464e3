"""LightLLM's chat route, streamed: no reply that is mixed from two, or cut off without a word."""

import json
from typing import Any

import openai
import pytest

from agentkit import LightLLMClient
from tests.support.model_server import Answer, delta, serve, streamed

TOOLS: Any = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
CALL = '<tool_call>\n{"name": "look", "arguments": {}}\n</tool_call>'
ASK: Any = [{"role": "user", "content": "Go."}]


def read(answer: Answer, **options: Any) -> tuple[str, list[str], str]:
    """The text, the names of the calls and the finish reason of a stream."""
    text, calls, reason = "", [], ""
    with serve([answer]) as server:
        address = server.url.removesuffix("/v1")
        with LightLLMClient(base_url=address, max_retries=0, mode="chat") as client:
            stream: Any = client.chat.completions.create(
                model="Qwen3-8B", messages=ASK, tools=TOOLS, stream=True, **options
            )
            for chunk in stream:
                text += chunk.choices[0].delta.content or ""
                calls += [call.function.name for call in chunk.choices[0].delta.tool_calls or ()]
                reason = chunk.choices[0].finish_reason or reason
    return text, calls, reason


def test_several_replies_are_not_streamed() -> None:
    with pytest.raises(openai.BadRequestError, match="only one reply"):
        read(streamed(delta(content="Yes."), delta("stop")), n=2)


@pytest.mark.parametrize("texts", [["I look.\n", CALL], ["Use the <tool"], ["Hello"]])
def test_a_stream_that_ends_early_is_an_error(texts: list[str]) -> None:
    pieces = [delta(content=text) for text in texts]
    with pytest.raises(openai.APIConnectionError, match="ended before the reply was finished"):
        read(streamed(*pieces, done=False))


def test_a_stream_that_is_done_without_a_reason_has_all_of_its_text_and_calls() -> None:
    assert read(streamed(delta(content="I look.\n"), delta(content=CALL))) == ("I look.", ["look"], "tool_calls")
    assert read(streamed(delta(content="Use the <tool"))) == ("Use the <tool", [], "stop")


def test_a_stream_with_a_reason_needs_no_done() -> None:
    assert read(streamed(delta(content="Hello"), delta("stop"), done=False)) == ("Hello", [], "stop")


@pytest.mark.parametrize("choice", [None, {"message": {"tool_calls": [{"id": "c1"}]}}, {"message": "text"}])
def test_a_reply_of_an_odd_form_is_an_error_of_the_server(choice: Any) -> None:
    with serve([Answer(json.dumps({"choices": [choice]}).encode())]) as server:
        address = server.url.removesuffix("/v1")
        with LightLLMClient(base_url=address, max_retries=0, mode="chat") as client:
            with pytest.raises(openai.APIError, match="not a chat completion"):
                client.chat.completions.create(model="Qwen3-8B", messages=ASK)
