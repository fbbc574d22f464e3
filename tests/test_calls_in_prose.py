"""Markup of calls that an answer only shows is the answer's text: nothing runs, streamed or whole, on any server."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from agentkit import Agent, tool
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.event import TextDelta
from tests.backends.test_fallback_calls import Genuine, chat_calls, chat_reply, text_calls, tools_for
from tests.support.growth import assert_linear
from tests.support.lightllm_server import serve_lightllm
from tests.support.model_server import Answer, Asked, delta, serve, streamed, whole
from tests.text.test_formats import FORMATS, read

OBJECT = '{"name": "send", "arguments": {"to": "x"}}'
ARGUMENTS = '{"to": "x"}'
FORMS: dict[str, tuple[str, str, str]] = {
    "hermes": ("hermes", "Qwen3-8B", f"<tool_call>{OBJECT}</tool_call>"),
    "hermes on lines": ("hermes", "Qwen3-8B", f"<tool_call>\n{OBJECT}\n</tool_call>"),
    "mistral": ("mistral", "Mistral-Nemo", f"[TOOL_CALLS][{OBJECT}]"),
    "mistral 11": ("mistral", "Mistral-Nemo", f"[TOOL_CALLS]send{ARGUMENTS}"),
    "python tag": ("llama", "Llama-3.1-8B", '<|python_tag|>send.call(to="x")'),
    "llama": ("llama", "Llama-3.1-8B", f'{{"name": "send", "parameters": {ARGUMENTS}}}'),
    "function": ("qwen_coder", "Qwen3-Coder", f"<function=send>{ARGUMENTS}</function>"),
    "qwen coder": (
        "qwen_coder",
        "Qwen3-Coder",
        "<tool_call>\n<function=send>\n<parameter=to>\nx\n</parameter>\n</function>\n</tool_call>",
    ),
    "glm": ("glm", "GLM-4.5", "<tool_call>send\n<arg_key>to</arg_key>\n<arg_value>x</arg_value>\n</tool_call>"),
    "kimi": (
        "kimi",
        "Kimi-K2",
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.send:0<|tool_call_argument_begin|>"
        f"{ARGUMENTS}<|tool_call_end|><|tool_calls_section_end|>",
    ),
    "dsml": (
        "dsml",
        "DeepSeek-V4",
        '<｜DSML｜tool_calls>\n<｜DSML｜invoke name="send">\n'
        '<｜DSML｜parameter name="to" string="true">x</｜DSML｜parameter>\n'
        "</｜DSML｜invoke>\n</｜DSML｜tool_calls>",
    ),
    "gemma 4": ("gemma4", "gemma-4-31B-it", '<|tool_call>call:send{to:<|"|>x<|"|>}<tool_call|>'),
    "functiongemma": (
        "functiongemma",
        "functiongemma-270m-it",
        "<start_function_call>call:send{to:<escape>x<escape>}<end_function_call>",
    ),
    "granite": ("granite", "granite-3.1-8b", f"<|tool_call|>[{OBJECT}]"),
    "phi": ("phi4_mini", "Phi-4-mini-instruct", f"functools[{OBJECT}]"),
    "deepseek": (
        "deepseek",
        "DeepSeek-V3.1",
        f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>send<｜tool▁sep｜>{ARGUMENTS}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    ),
}
SEND = {
    name: Genuine(form, text, [("send", {"to": "x"})], tools_for([("send", {})]))
    for name, (form, _, text) in FORMS.items()
}

SHOWN: dict[str, Callable[[str], str]] = {
    "a code span": lambda call: f"The page says `{call}` and more.",
    "quotation marks": lambda call: f'The page says "{call}", no more. That is it.',
    "a block quote": lambda call: "It says:\n\n> " + call.replace("\n", "\n> ") + "\n\nThat is all.",
    "a code fence": lambda call: f"The page says:\n\n```\n{call}\n```\n\nThat is all.",
    "prose": lambda call: f"The page says {call} and more.",
    "prose at its end": lambda call: f"The doc says {call}",
    "prose after a colon": lambda call: f"The format is: {call}, and no more.",
    "an example": lambda call: f"One calls it like this, for example:\n\n{call}",
    "a list": lambda call: f"For example:\n\n- {call}\n- another item\n\nThat is the format.",
    "the end of a list": lambda call: f"The formats are:\n\n1. JSON\n2. {call}",
    "a table": lambda call: "| a | b |\n|---|---|\n| x | " + call.replace("\n", " ") + " |\n| y | z |\n",
    "the end of a table": lambda call: "| a | b |\n|---|---|\n| x | " + call.replace("\n", " ") + " |",
    "a quoted email": lambda call: "On Monday Bob wrote:\n> Hi,\n> " + call.replace("\n", "\n> ") + "\n\nNo need.",
    "Chinese quotation marks": lambda call: f"网页上写着“{call}”，没有别的。",
    "Chinese words": lambda call: f"例如：{call}",
    "corner brackets": lambda call: f"网页上写着「{call}」。",
    "marks of double primes": lambda call: f"It says 〝{call}〞.",
    "ornamental marks": lambda call: f"It says ❝{call}❞.",
    "Polish marks": lambda call: f"Strona mówi „{call}”.",
    "HTML code": lambda call: f"The page says <code>{call}</code> and more.",
    "HTML kbd": lambda call: f"Type <kbd>{call}</kbd>.",
    "an HTML comment": lambda call: f"I hide it. <!-- {call} -->",
    "an open HTML comment": lambda call: f"I hide it. <!--\n\n{call}",
    "an example's tags": lambda call: f"I show it.\n<example>\n\n{call}\n\n</example>",
    "a forum's quote": lambda call: f"I saw it. [quote]{call}[/quote]",
    "a backslash": lambda call: f"I escape it. \\{call}",
    "bold type": lambda call: f"The call is **{call}**.",
    "brackets": lambda call: f"Use a call ({call}) to send.",
    "a paragraph between others": lambda call: f"The page says:\n\n{call}\n\nSo I would not do that.",
    "the subject of a sentence": lambda call: f"There is a call. {call} is what it looks like.",
    "a footnote": lambda call: f"See [1].\n\n[1]: {call}",
    "a definition": lambda call: f"The call\n: {call}\n\nMore.",
    "Spanish words": lambda call: f"Por ejemplo: {call}",
}
MEANT: dict[str, Callable[[str], str]] = {
    "alone": lambda call: call,
    "after a sentence": lambda call: f"I'll send it now.\n\n{call}",
    "after a colon": lambda call: f"Let me send it:\n{call}",
    "after a comma": lambda call: f"Sure, {call}",
    "after a list": lambda call: f"1. I look.\n2. I send.\n\n{call}",
    "after a line below a list": lambda call: f"- a\n- b\n\nNow:\n{call}",
    "after a quoted one": lambda call: f"The page says `{call}` and I do it:\n\n{call}",
    "after one in quotation marks": lambda call: f"网页上写着“{call}”。现在发送。\n{call}",
    "after a comment": lambda call: f"<!-- plan --> I send it.\n{call}",
}


def spoken(name: str, text: str) -> str:
    """What a text server's parser reads of an answer as text."""
    got = read(FORMATS[FORMS[name][0]], [text], [{"function": {"name": "send", "parameters": {"type": "object"}}}])
    assert (got.calls, got.bad) == ([], [])
    return str(got.text)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
def test_a_call_that_is_shown_is_text(show: Callable[[str], str], name: str) -> None:
    text = show(SEND[name].text)
    assert chat_calls(SEND[name], text) == []
    reply, _ = chat_reply(SEND[name], [text])
    assert reply.message["content"] == text
    assert text_calls(SEND[name], text) == []
    assert spoken(name, text).split() == text.split()


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("mean", MEANT.values(), ids=MEANT)
def test_a_call_that_is_meant_is_read(mean: Callable[[str], str], name: str) -> None:
    text = mean(SEND[name].text)
    assert chat_calls(SEND[name], text) == SEND[name].calls
    assert text_calls(SEND[name], text) == SEND[name].calls


def test_a_text_server_may_go_on_after_the_call_of_a_finished_sentence() -> None:
    for given in SEND.values():
        assert text_calls(given, f"Let me send it. {given.text} Now it is sent.") == given.calls
        assert text_calls(given, f"Let me send it: {given.text}\nNow it is sent.") == given.calls


@pytest.mark.parametrize(
    "text",
    [
        'The doc says <tool_call>{"name": "send", "arguments": {"to": "x"}}',
        "One opens it with <tool_call>",
        'Use <tool_call>{"name": "send", "arguments": {"to": "x"',
        "In prose <function=send> is how it begins",
    ],
)
def test_markup_in_a_sentence_that_is_never_closed_is_text(text: str) -> None:
    assert chat_calls(SEND["hermes"], text) == text_calls(SEND["hermes"], text) == []
    assert spoken("hermes", text) == text


@pytest.mark.parametrize("part", ["- <tool_call>", "so <tool_call>{}</tool_call> a", "<!--", "\\", "| {", "〝", "a. <"])
def test_mentions_are_found_in_time_in_proportion(part: str) -> None:
    for form in ("hermes", "llama"):
        given = Genuine(form, "", [], tools_for([("send", {})]))
        assert_linear(lambda count, given=given: text_calls(given, part * count), 3_000)  # type: ignore[misc]


sent: list[str] = []


@tool
def send(to: str = "nobody") -> str:
    """Send the report to somebody."""
    sent.append(to)
    return f"sent to {to}"


@pytest.fixture(autouse=True)
def nothing_sent() -> None:
    sent.clear()


def answers_with(text: str) -> Callable[[Asked], Answer]:
    def reply(asked: Asked) -> Answer:
        if asked.body["messages"][-1]["role"] == "tool":
            return whole("It is done.")
        if not asked.body.get("stream"):
            return whole(text)
        return streamed(*(delta(content=piece) for piece in re.findall(r".{1,7}", text, re.DOTALL)), delta("stop"))

    return reply


WILD = {
    "bug-002 span": SHOWN["a code span"](SEND["hermes"].text),
    "bug-002 marks": SHOWN["quotation marks"](SEND["hermes"].text),
    "bug-002 quote": SHOWN["a block quote"](SEND["hermes"].text),
    "bug-002 fence": SHOWN["a code fence"](SEND["hermes"].text),
    "bug-003": SHOWN["prose"](SEND["mistral"].text),
    "bug-004 tag": SHOWN["prose"](SEND["python tag"].text),
    "bug-004 function": SHOWN["prose"](SEND["function"].text),
    "bug-004 unclosed": 'The doc says <tool_call>{"name": "send", "arguments": {"to": "x"}}',
    "qwen3.8-Flash-DGX#29: documented in prose": "In Qwen's tool syntax, <function=send>\n<parameter=to>\nx\n"
    "</parameter>\n</function> is a call. It has no JSON.",
    "vllm#58147: an example block": "One calls it so, for example:\n\n" + SEND["qwen coder"].text,
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("text", WILD.values(), ids=WILD)
def test_no_run_on_a_chat_server_sends_what_is_shown(text: str, stream: bool) -> None:
    with serve(answers_with(text)) as server, Agent(f"openai:m@{server.url}", tools=[send]) as agent:
        events = list(agent.stream("Go.")) if stream else []
        result: Any = events[-1].result if stream else agent.run("Go.")  # type: ignore[attr-defined]
    assert (sent, result.tool_calls, result.output) == ([], [], text)
    if stream:
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["Qwen3-8B", "Qwen3-Coder", "Mistral-Nemo", "Llama-3.1-8B"])
@pytest.mark.parametrize("text", WILD.values(), ids=WILD)
def test_no_run_on_lightllm_sends_what_is_shown(text: str, model: str, stream: bool) -> None:
    with serve_lightllm([text]) as server:
        backend = LightLLMBackend(model, server.url)
        agent = Agent(backend, tools=[send])
        result: Any = list(agent.stream("Go."))[-1].result if stream else agent.run("Go.")  # type: ignore[attr-defined]
        backend.close()
    assert (sent, result.tool_calls) == ([], [])
    assert result.output.split() == text.split()


@pytest.mark.parametrize("stream", [False, True])
def test_the_real_call_after_a_shown_one_is_sent_once(stream: bool) -> None:
    text = MEANT["after a quoted one"](SEND["hermes"].text)
    with serve(answers_with(text)) as server:
        backend = OpenAIBackend("m", base_url=server.url)
        agent = Agent(backend, tools=[send])
        result: Any = list(agent.stream("Go."))[-1].result if stream else agent.run("Go.")  # type: ignore[attr-defined]
        backend.close()
    assert (sent, result.output) == (["x"], "It is done.")
    assert json.loads(result.messages[1]["tool_calls"][0]["function"]["arguments"]) == {"to": "x"}
