"""Without `content` no text leaves by any channel; with it, in the form of the conventions, of a limited size."""

import json
import re
from typing import Any

import pytest
from openai import APIError
from pydantic import BaseModel

from agentkit import Agent, Hook, Limits, Tool, tool
from agentkit.backend import Request
from agentkit.backends import OpenAIBackend
from agentkit.errors import ConfigurationError, HookError
from agentkit.hooks import Redact
from agentkit.telemetry import Otel
from agentkit.telemetry.content import attributes_of_tools
from agentkit.testing import ScriptedBackend
from tests.support.model_server import Answer, calls, delta, serve, streamed, whole
from tests.support.telemetry import Recorder, attributes, messages

SENTINELS = {
    name: f"sentinel-{number}-{name}"
    for number, name in enumerate(
        [
            *("prompt", "instructions", "history", "argument", "result", "exception", "progress", "description"),
            *("server_error", "output", "hook_error", "reasoning", "finish_reason", "stop", "deps", "tool_name"),
            *("response_id", "response_model", "user"),
        ]
    )
}


class Answered(BaseModel):
    city: str


@tool(description=f"Looks up. {SENTINELS['description']}")
def look_up(topic: str) -> str:
    return SENTINELS["result"]


@tool
def fail(topic: str) -> str:
    """Fails."""
    raise ValueError(SENTINELS["exception"])


def sent_by(recorder: Recorder) -> set[str]:
    text = recorder.text()
    assert "invoke_agent" in text
    return {name for name, sentinel in SENTINELS.items() if sentinel in text}


def said(content: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "reasoning_content": SENTINELS["reasoning"], **more}


def run_all(recorder: Recorder, stream: bool, **options: Any) -> None:
    """Runs in which each of the sentinels is somewhere."""
    odd = {"id": f"{SENTINELS['response_id']} with words", "model": f"{SENTINELS['response_model']} with words"}
    last = whole(said(json.dumps({"city": SENTINELS["output"]})), finish_reason=f"{SENTINELS['finish_reason']} really")
    last = Answer(last.body[:-1] + b", " + json.dumps(odd).encode()[1:])
    script = [
        calls(("look_up", {"topic": SENTINELS["argument"]})),
        calls(("fail", {"topic": SENTINELS["argument"]})),
        calls((SENTINELS["tool_name"], {})),
        calls(("look_up", {"wrong": SENTINELS["argument"]})),
        last,
        Answer(json.dumps({"error": {"message": SENTINELS["server_error"]}}).encode(), status=400),
    ]
    history = [
        {"role": "user", "content": SENTINELS["history"]},
        {"role": "assistant", "content": SENTINELS["history"]},
    ]
    with serve(script) as server:
        agent = Agent(
            OpenAIBackend("tiny", base_url=server.url, api_key="k"),
            tools=[look_up, fail],
            instructions=SENTINELS["instructions"],
            hooks=[recorder.otel(**options)],
        )
        given: dict[str, Any] = {
            "messages": history,
            "output": Answered,
            "deps": SENTINELS["deps"],
            "sampling": {"stop": [SENTINELS["stop"]], "user": SENTINELS["user"], "temperature": 0.5},
        }
        for prompt in (SENTINELS["prompt"], "again"):
            try:
                if stream:
                    list(agent.stream(prompt, **given))
                else:
                    agent.run(prompt, **given)
            except APIError as error:
                assert SENTINELS["server_error"] in str(error)

    class Failing(Hook):
        def before_model(self, request: Request) -> None:
            raise ValueError(SENTINELS["hook_error"])

    with pytest.raises(HookError, match="sentinel"):
        Agent(ScriptedBackend("Hi."), hooks=[recorder.otel(**options), Failing()]).run("Go.")


@pytest.mark.parametrize("stream", [False, True])
def test_without_content_no_text_leaves(stream: bool) -> None:
    recorder = Recorder()
    run_all(recorder, stream)
    assert sent_by(recorder) == set()
    assert len(recorder.named("execute_tool")) == 3
    assert all(list(span.events) == [] and span.status.description is None for span in recorder.ended)
    assert "ValueError" in recorder.text()


def test_with_content_texts_leave_but_not_those_of_errors() -> None:
    recorder = Recorder()
    run_all(recorder, False, content=True)
    assert sent_by(recorder) == {
        *("prompt", "instructions", "history", "argument", "result", "exception", "description", "output", "reasoning"),
        "tool_name",
    }


def test_content_has_the_form_of_the_conventions() -> None:
    recorder = Recorder()
    agent = Agent(
        ScriptedBackend(("look_up", {"topic": "Oslo"}), said("Hi.")),
        tools=[look_up],
        instructions="Be brief.",
        hooks=[recorder.otel(content=True)],
    )
    agent.run("Where?")
    first, second = recorder.named("chat")
    asked = {"role": "user", "parts": [{"type": "text", "content": "Where?"}]}
    call = {"type": "tool_call", "id": "call_1_0", "name": "look_up", "arguments": {"topic": "Oslo"}}
    response = {"type": "tool_call_response", "id": "call_1_0", "response": SENTINELS["result"]}
    assert messages(first, "gen_ai.system_instructions") == [{"type": "text", "content": "Be brief."}]
    assert messages(first, "gen_ai.input.messages") == [asked]
    made = {"role": "assistant", "parts": [call]}
    assert messages(first, "gen_ai.output.messages") == [{**made, "finish_reason": "tool_calls"}]
    assert messages(second, "gen_ai.input.messages") == [asked, made, {"role": "tool", "parts": [response]}]
    answer = [{"type": "reasoning", "content": SENTINELS["reasoning"]}, {"type": "text", "content": "Hi."}]
    said_last = [{"role": "assistant", "parts": answer, "finish_reason": "stop"}]
    assert messages(second, "gen_ai.output.messages") == said_last
    of_the_tool = attributes(recorder.one("execute_tool"))
    assert json.loads(of_the_tool["gen_ai.tool.call.arguments"]) == {"topic": "Oslo"}
    assert of_the_tool["gen_ai.tool.call.result"] == SENTINELS["result"]
    assert messages(recorder.one("invoke_agent"), "gen_ai.input.messages") == [asked]
    assert messages(recorder.one("invoke_agent"), "gen_ai.output.messages") == said_last


def test_images_are_named_and_not_sent() -> None:
    recorder = Recorder()
    content: list[Any] = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAABBBBCCCC"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "input_audio", "input_audio": {"data": "AAAABBBBCCCC"}},
    ]
    agent = Agent(ScriptedBackend("A tide."), hooks=[recorder.otel(content=True)])
    agent.run(messages=[{"role": "user", "content": content}])
    assert messages(recorder.one("chat"), "gen_ai.input.messages")[0]["parts"] == [
        {"type": "text", "content": "What is this?"},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": ""},
        {"type": "uri", "modality": "image", "uri": "https://example.com/a.png"},
        {"type": "input_audio"},
    ]
    assert "AAAABBBB" not in recorder.text()


def test_content_has_a_maximum_size_and_is_valid_json() -> None:
    recorder = Recorder()

    @tool(max_result=None)
    def read(page: str) -> str:
        """Reads."""
        return "x\ud83d" * 50_000

    made = [("read", {"page": "\ud800" + "y" * 20_000})] * 12
    agent = Agent(
        ScriptedBackend(*([each] for each in made), "z" * 100_000),
        tools=[read],
        limits=Limits(repeats=None),
        hooks=[recorder.otel(content=True)],
    )
    agent.run("Go. " + "w" * 100_000)
    for span in recorder.ended:
        for name, value in attributes(span).items():
            if isinstance(value, str):
                assert len(value) < 100_000, name
                value.encode()
                if name.endswith("messages"):
                    json.loads(value)
    assert attributes(recorder.named("chat")[-1])["agentkit.messages.left_out"] > 10


@pytest.mark.parametrize("arguments", ["{", "[" * 50_000, '{"a": NaN}', "null", "", '"text"', '{"a":' * 3_000])
def test_any_arguments_are_written(arguments: str) -> None:
    recorder = Recorder()
    call = {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": arguments}}
    backend = ScriptedBackend({"content": None, "tool_calls": [call]}, "Ok.")
    agent = Agent(backend, tools=[look_up], hooks=[recorder.otel(content=True)])
    assert agent.run("Go.").output == "Ok."
    for span in recorder.named("chat"):
        messages(span, "gen_ai.output.messages")


def test_what_a_hook_has_masked_is_masked_in_the_requests() -> None:
    recorder = Recorder()
    agent = Agent(ScriptedBackend("Hi."), hooks=[recorder.otel(content=True), Redact([r"\d{4}"])])
    agent.run("My number is 1234.")
    assert "1234" not in str(attributes(recorder.one("chat")))


@pytest.mark.parametrize(
    ("value", "content"),
    [
        *((None, False), ("", False), ("false", False), ("NO_CONTENT", False), ("EVENT_ONLY", False), ("yes", False)),
        *(("true", True), ("SPAN_ONLY", True), ("span_and_event", True)),
    ],
)
def test_the_environment_asks_for_content(value: str | None, content: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
    monkeypatch.delenv(name, raising=False)
    if value is not None:
        monkeypatch.setenv(name, value)
    assert Otel().content is content
    assert Otel(content=False).content is False
    assert Otel(content=True).content is True


def test_a_streamed_answer_is_whole_in_its_span() -> None:
    recorder = Recorder()
    with serve([streamed(delta(content="Hi "), delta(content="there."), delta("stop"))]) as server:
        agent = Agent(OpenAIBackend("tiny", base_url=server.url, api_key="k"), hooks=[recorder.otel(content=True)])
        list(agent.stream("Go."))
    (made,) = messages(recorder.one("chat"), "gen_ai.output.messages")
    assert made["parts"] == [{"type": "text", "content": "Hi there."}]


@pytest.mark.parametrize("options", [{"name": ""}, {"name": 3}, {"content": "true"}, {"name": None}])
def test_invalid_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Otel(**options)


def test_the_tools_of_a_request_are_sent_with_content() -> None:
    recorder = Recorder()
    agent = Agent(ScriptedBackend("Hi.", "Hi."), tools=[look_up], hooks=[recorder.otel(content=True)])
    agent.run("Go.")
    (told,) = messages(recorder.one("chat"), "gen_ai.tool.definitions")
    assert (told["type"], told["name"]) == ("function", "look_up")
    assert told["parameters"]["properties"] == {"topic": {"type": "string"}}
    assert SENTINELS["description"] in told["description"]

    def report(number: int) -> Tool[Any, Any]:
        return Tool(f"report_{number}", "x" * 500, {"type": "object", "properties": {}}, lambda: "")

    many = Recorder()
    tools = [report(number) for number in range(2_000)]
    Agent(ScriptedBackend("Hi."), tools=tools, tool_search=False, hooks=[many.otel(content=True)]).run("Go.")
    told = messages(many.one("chat"), "gen_ai.tool.definitions")
    assert told[0] == {"type": "function", "name": "report_0"}
    assert len(attributes(many.one("chat"))["gen_ai.tool.definitions"]) < 64_000


def test_no_null_character_is_sent() -> None:
    """PostgreSQL, which viewers keep spans in, takes none, and they lose the span."""
    recorder = Recorder()

    @tool
    def read(page: str) -> str:
        """Reads \0."""
        return "binary: \0\0"

    agent = Agent(
        ScriptedBackend(("read", {"page": "a\0b \\u0000 \\\\u0000"}), "It is \0."),
        tools=[read],
        instructions="Be \0.",
        hooks=[recorder.otel("a\0b", content=True)],
    )
    agent.run("What is \0?")
    for span in recorder.ended:
        assert "\0" not in span.name
        for value in attributes(span).values():
            assert "\0" not in str(value)
            assert not re.search(r"(?<!\\)(\\\\)*\\u0000", str(value))
    asked = messages(recorder.named("chat")[-1], "gen_ai.input.messages")
    assert asked[1]["parts"][0]["arguments"] == {"page": "a\ufffdb \\u0000 \\\\u0000"}


@pytest.mark.parametrize(("length", "told"), [(9000, 7), (60, 711), (0, 1000)])
def test_the_definitions_of_tools_have_a_bound_whatever_their_names_are(length: int, told: int) -> None:
    schemas = [{"type": "function", "function": {"name": "n" * length, "description": "d" * 900}}] * 1000
    found = attributes_of_tools(schemas)["gen_ai.tool.definitions"]
    assert len(found) <= 64_000
    assert len(json.loads(found)) == told
