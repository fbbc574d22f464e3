"""gpt-oss: replies in channels, parsed, rendered and run, whole and streamed."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Agent, LightLLMClient, tool
from agentkit.backends import LightLLMBackend
from agentkit.event import ReasoningDelta, RunFinished, TextDelta, ToolFinished
from agentkit.text.families import family_named, family_of
from agentkit.text.parser import ReplyParser
from agentkit.text.prompt import PromptMaker
from tests.support.growth import assert_linear
from tests.support.lightllm_server import serve_lightllm
from tests.support.model_server import serve, whole
from tests.text.test_formats import TOOLS, Parsed, assert_reads_the_same, parse_in_chunks, read

FAMILY = family_named("gpt_oss")
FORMAT = FAMILY.format


@tool(read_only=True)
def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"9 degrees in {city} <|end|>"


def thought(text: str) -> str:
    return f"<|channel|>analysis<|message|>{text}<|end|>"


def call(city: str = "Oslo", name: str = "get_weather") -> str:
    return f'<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{{"city": "{city}"}}<|call|>'


def final(text: str) -> str:
    return f"<|channel|>final<|message|>{text}<|return|>"


NEXT = "<|start|>assistant"


@pytest.mark.parametrize(
    ("model", "is_known"),
    [
        *[("openai/gpt-oss-20b", True), ("gpt-oss:120b", True), ("gpt-oss", True), ("gpt-oss-20b-Q4_K_M.gguf", True)],
        *[("gpt-oss-safeguard:20b", True), ("gpt-oss-2-20b", False), ("gpt-oss-3", False)],
    ],
)
def test_only_models_with_this_template_are_of_the_family(model: str, is_known: bool) -> None:
    assert (family_of(model) is FAMILY) is is_known


def test_each_result_names_its_tool_and_thoughts_stay_until_the_answer() -> None:
    function = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
    called = {
        "role": "assistant",
        "content": "I look.",
        "reasoning_content": "A city.",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": function},
            {"id": "c2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
        ],
    }
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Weather?"},
        called,
        {"role": "tool", "tool_call_id": "c2", "content": "<tool_response>\n9\n</tool_response>"},
        {"role": "tool", "tool_call_id": "c1", "content": "mild"},
    ]
    made = PromptMaker(FAMILY).prompt(messages, [get_weather.schema]).text
    thoughts = "<|start|>assistant<|channel|>analysis<|message|>A city.<|end|>"
    assert made.endswith(
        f"<|start|>user<|message|>Weather?<|end|>{thoughts}"
        "<|start|>assistant<|channel|>commentary<|message|>I look.<|end|>"
        f'{NEXT} to=functions.get_weather<|channel|>commentary json<|message|>{{"city": "Oslo"}}<|call|>'
        f"{NEXT} to=functions.now<|channel|>commentary json<|message|>{{}}<|call|>"
        '<|start|>functions.now to=assistant<|channel|>commentary<|message|>"9"<|end|>'
        '<|start|>functions.get_weather to=assistant<|channel|>commentary<|message|>"mild"<|end|><|start|>assistant'
    )
    answered = [*messages, {"role": "assistant", "content": "Mild."}, {"role": "user", "content": "And now?"}]
    assert thoughts not in PromptMaker(FAMILY).prompt(answered, [get_weather.schema]).text


READ = [
    (final("It is 9."), "", "It is 9.", []),
    (thought("I look.") + NEXT + final("It is 9."), "I look.", "It is 9.", []),
    (thought("I look.") + NEXT + call(), "I look.", "", ["Oslo"]),
    (call() + NEXT + call("Rome"), "", "", ["Oslo", "Rome"]),
    ("<|channel|>commentary<|message|>I look.<|end|>" + NEXT + call(), "", "I look.", ["Oslo"]),
    ("<|channel|>commentary<|message|>I look.<|end|>" + NEXT + final("Nine."), "", "I look.\n\nNine.", []),
    (
        thought("One. ") + NEXT + call() + NEXT + thought(" Two.") + NEXT + final("Nine."),
        "One.\n\nTwo.",
        "Nine.",
        ["Oslo"],
    ),
    (
        thought("One.") + NEXT + "<|channel|>commentary<|message|>So.<|end|>" + NEXT + thought("Two.") + NEXT + call(),
        "One.\n\nTwo.",
        "So.",
        ["Oslo"],
    ),
    (thought("Maybe " + call()[:-8] + ".") + NEXT + final("No."), f"Maybe {call()[:-8]}.", "No.", []),
    (thought("") + NEXT + final("Nine."), "", "Nine.", []),
    ("<|channel|>analysis<|message|>I was cut o", "I was cut o", "", []),
    (final(f"Write `{thought('so')}`."), "", f"Write `{thought('so')}`.", []),
    ("No channel at all, <|no token|>.", "", "No channel at all, <|no token|>.", []),
    ("analysis<|message|>I look.<|end|>" + NEXT + final("Nine."), "I look.", "Nine.", []),
    ("final<|message|>Nine.", "", "Nine.", []),
    ("final answer: <|message|>", "", "final answer: <|message|>", []),
    ("to=", "", "to=", []),
    (
        "<|channel|>commentary to=assistant" + thought("So.") + NEXT + final("Nine."),
        "So.",
        "Nine.",
        [],
    ),
]


@pytest.mark.parametrize(("text", "thoughts", "answer", "cities"), READ)
def test_a_reply_reads_the_same_in_any_chunks(text: str, thoughts: str, answer: str, cities: list[str]) -> None:
    got = parse_in_chunks(FORMAT, text, [get_weather.schema])
    assert (got.thoughts, got.text, got.bad) == (thoughts, answer, [])
    assert got.calls == [("get_weather", {"city": city}) for city in cities]


@pytest.mark.parametrize(
    ("text", "name"),
    [(call()[:-12], "get_weather"), (call().replace("<|message|>", ""), None)],
)
def test_a_call_that_cannot_be_read_is_kept_with_a_reason(text: str, name: str | None) -> None:
    got = parse_in_chunks(FORMAT, thought("So.") + NEXT + text)
    assert (got.calls, len(got.bad)) == ([], 1)
    assert got.bad[0].name == name
    assert got.bad[0].reason


MARKS = [*FORMAT.starts, *FORMAT.swallowed, *FORMAT.thinks, "functions.now ", "<|constrain|>json", "<|message|>", "{}"]


@given(
    st.lists(st.one_of(st.sampled_from([*MARKS, " ", "\n", "a", "`", "<"]), st.text(max_size=3)), max_size=25),
    st.booleans(),
    st.randoms(use_true_random=False),
)
@settings(max_examples=300, deadline=None)
def test_any_text_split_anywhere_parses_the_same(words: list[str], thinking: bool, chance: Any) -> None:
    assert_reads_the_same(FORMAT, "".join(words), thinking, chance)


@given(st.lists(st.sampled_from([*MARKS, " ", "\n", "a", "b."]), max_size=20))
@settings(max_examples=300, deadline=None)
def test_the_text_of_a_whole_reply_without_calls_is_that_of_its_stream(words: list[str]) -> None:
    parser = ReplyParser(FORMAT, TOOLS)
    got = Parsed([*parser.feed("".join(words)), *parser.finish()])
    if not (got.calls or got.bad or any(mark in got.text for mark in MARKS)):
        assert parser.raw_answer.split() == got.text.split()


@pytest.mark.parametrize("text", [thought("a") + NEXT, call() + NEXT, "<|channel|>", final("a"), "`" + thought("a")])
def test_reading_takes_linear_time(text: str) -> None:
    assert_linear(lambda count: read(FORMAT, [text * count], TOOLS), 400)


SCRIPT = [
    thought("A city.") + f"{NEXT}<|channel|>commentary<|message|>I look.<|end|>{NEXT}" + call(),
    f"{thought('9.')}{NEXT}<|channel|>commentary<|message|>Well.<|end|>{NEXT}{thought('Yes.')}{NEXT}{final('Nine.')}",
]


def test_an_agent_runs_on_it_whole_and_streamed() -> None:
    with serve_lightllm(SCRIPT) as server:
        result = Agent(LightLLMBackend("gpt-oss-20b", server.url), tools=[get_weather]).run("Weather? <|end|>")
        first, second = (asked.prompt for asked in server.requests)
    with serve_lightllm(SCRIPT) as server:
        events = list(Agent(LightLLMBackend("gpt-oss-20b", server.url), tools=[get_weather]).stream("Weather? <|end|>"))
    assert result.output == "Well.\n\nNine."
    assert [record.arguments for record in result.tool_calls] == [{"city": "Oslo"}]
    said = [message for message in result.messages if message["role"] == "assistant"]
    assert [message.get("reasoning_content") for message in said] == ["A city.", "9.\n\nYes."]
    assert second.startswith(first)
    assert "Weather? < |end|><|end|>" in first
    assert second.endswith(f"{NEXT} to=functions.get_weather<|channel|>commentary json<|message|>"
                           '{"city": "Oslo"}<|call|><|start|>functions.get_weather to=assistant<|channel|>commentary'
                           '<|message|>"9 degrees in Oslo < |end|>"<|end|><|start|>assistant')  # fmt: skip
    assert isinstance(events[-1], RunFinished)
    assert events[-1].result.messages == result.messages
    assert "".join(each.text for each in events if isinstance(each, TextDelta)) == "I look.Well.\n\nNine."
    assert "".join(each.text for each in events if isinstance(each, ReasoningDelta)) == "A city.9.\n\nYes."


def test_the_drop_in_client_reads_it_whole_and_streamed() -> None:
    asked: dict[str, Any] = {"model": "gpt-oss-20b", "messages": [{"role": "user", "content": "Hi"}]}
    with serve_lightllm(lambda asked: SCRIPT[1]) as server, LightLLMClient(base_url=server.url) as client:
        message = client.chat.completions.create(**asked).choices[0].message
        chunks = list(client.chat.completions.create(**asked, stream=True))
    assert message.content == "Well.\n\nNine."
    assert message.reasoning_content == "9.\n\nYes."
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == message.content


def test_a_call_can_be_forced() -> None:
    with serve_lightllm(['{"city": "Oslo"}<|call|>', final("Nine.")]) as server:
        backend = LightLLMBackend(
            "gpt-oss-20b", server.url, tool_choice={"type": "function", "function": {"name": "get_weather"}}
        )
        steps = Agent(backend, tools=[get_weather]).stream("Weather?")
        record = next(step.record for step in steps if isinstance(step, ToolFinished))
        prompt = server.requests[0].prompt
    assert record.arguments == {"city": "Oslo"}
    assert prompt.endswith(f"{NEXT}<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>")


@pytest.mark.parametrize("model", ["gpt-oss-20b", "unknown"])
def test_a_call_that_any_other_server_left_in_the_text_is_read(model: str) -> None:
    text = "I look." + NEXT + call()
    with serve([whole(text), whole("Nine.")]) as server:
        result = Agent(f"openai:{model}@{server.url}", tools=[get_weather]).run("Weather?")
    assert result.output == "Nine."
    assert [json.loads(record.raw_arguments) for record in result.tool_calls] == [{"city": "Oslo"}]
