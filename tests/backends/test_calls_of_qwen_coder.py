"""Calls that Qwen2.5-Coder writes without the tags of its template, which no server reads.

Reported as ollama/ollama#12174, vllm-project/vllm#32926, jundot/omlx#2565, selfagency/opilot#149 and
earendil-works/pi#6635 (JSON alone, or in a code fence), vllm-project/vllm#33083 and
ardanlabs/kronk#944 (in tags of the model's own).
"""

import json
from typing import Any

import pytest

from agentkit import Agent, Result, tool
from agentkit.backend import Request
from agentkit.backends import OpenAIBackend
from agentkit.backends.fallback_calls import ReplyText
from agentkit.event import TextDelta
from agentkit.message import user
from agentkit.toolbox import Toolbox
from agentkit.transcript import Transcript
from tests.support.growth import assert_linear
from tests.support.model_server import Answer, Asked, delta, serve, streamed, whole

CODER = "qwen2.5-coder:14b"
ROME = '{"name": "look", "arguments": {"city": "Rome"}}'
OSLO = '{"name": "look", "arguments": {"city": "Oslo"}}'


@tool(read_only=True)
def look(city: str) -> str:
    """Look."""
    return f"21 in {city}"


def run(text: str, stream: bool, model: str = CODER, question: str = "How warm is it?") -> Result:
    """A run with a model that writes a text, and an answer to the results of its calls."""

    def answer(asked: Asked) -> Answer:
        said = "Done." if asked.body["messages"][-1]["role"] == "tool" else text
        return streamed(*(delta(content=each) for each in said), delta("stop")) if asked.body["stream"] else whole(said)

    with serve(answer) as server:
        agent = Agent(OpenAIBackend(model, base_url=server.url, max_retries=0), tools=[look])
        if not stream:
            return agent.run(question)
        with agent.stream(question) as started:
            list(started)
        assert started.result is not None
        return started.result


either_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@pytest.mark.parametrize(
    ("text", "cities"),
    [
        (ROME, ["Rome"]),
        (json.dumps(json.loads(ROME), indent=2), ["Rome"]),
        (f"{ROME}\n{OSLO}", ["Rome", "Oslo"]),
        (f"```json\n{ROME}\n```", ["Rome"]),
        (f"```json\n{ROME}\n{OSLO}\n```", ["Rome", "Oslo"]),
        (f"```json\n[{ROME}, {OSLO}]\n```", ["Rome", "Oslo"]),
        (f"<tools>\n{ROME}\n</tools>", ["Rome"]),
        (f"<tools> {ROME} </tool", ["Rome"]),
        (f"<function>\n{ROME}\n</function>", ["Rome"]),
        (f"<function-call> {ROME}", ["Rome"]),
        (f"<tool_call>\n{ROME}\n</tool_call>", ["Rome"]),
        (f"{ROME}<|im_end|>", ["Rome"]),
    ],
)
@pytest.mark.parametrize("model", [CODER, "mlx-community/Qwen2.5-Coder-7B-Instruct-4bit"])
@either_way
def test_a_reply_that_is_only_a_call_is_run(text: str, cities: list[str], model: str, stream: bool) -> None:
    result = run(text, stream, model)
    assert [record.arguments["city"] for record in result.tool_calls] == cities
    assert result.output == "Done."


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Rome", "arguments": {"city": "Rome"}}',
        '```json\n{"name": "Rome", "arguments": {}}\n```',
        '```json\n{"city": "Rome"}\n```\nThat is it.',
        f"```json\n{ROME}\n```\nThis is how it is called.",
        f"A call:\n```json\n{ROME}\n```",
        f"```json\n{ROME}\n{{}}\n```",
        '```json\n{"name": "look", "arguments": {"ci',
        "```json5\n{}\n```",
        "```json",
        "<tools>",
    ],
)
@either_way
def test_what_else_such_a_model_writes_is_its_answer_as_it_stands(text: str, stream: bool) -> None:
    result = run(text, stream)
    assert (result.tool_calls, result.output) == ([], text)


@pytest.mark.parametrize("text", [ROME, f"```json\n{ROME}\n```"])
@either_way
def test_a_call_that_the_user_has_written_is_text(text: str, stream: bool) -> None:
    assert run(text, stream, question=f"Repeat this: {ROME}").tool_calls == []


@pytest.mark.parametrize("model", ["qwen3:8b", "qwen2.5:7b", "some-model"])
@pytest.mark.parametrize("text", [ROME, f"```json\n{ROME}\n```", f"<tools>{ROME}</tools>"])
def test_json_of_other_models_is_text(model: str, text: str) -> None:
    assert run(text, False, model).tool_calls == []


@pytest.mark.parametrize("piece", ["word ", f"{ROME}\n", "{", "[[", "\n"])
def test_reading_what_follows_takes_linear_time(piece: str) -> None:
    def read(size: int) -> None:
        request = Request(Transcript([user("Go.")]), Toolbox([look]), stream=True)
        reader: Any = ReplyText(request, CODER, reads_calls=True)
        for each in (f"```json\n{ROME}\n", *[piece] * size):
            list(reader.read(TextDelta(each)))

    assert_linear(read, 2_000)
