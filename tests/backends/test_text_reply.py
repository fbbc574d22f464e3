"""One way from a model's text to a reply: every backend and client reads the same text as the same reply."""

import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit import LightLLMClient, Tool
from agentkit.backend import Backend, Request
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.backends.text_reply import StreamDeltas, TextReply, whole_message
from agentkit.event import CallDelta, ReasoningDelta, Reply, ReplyDiscarded, TextDelta
from agentkit.limits import Usage
from agentkit.text.call_format import BadCall, Call, LateReasoning, Segment, Text, Thought
from agentkit.text.families import family_named
from agentkit.text.parser import ReplyParser
from agentkit.toolbox import Toolbox
from agentkit.transcript import Transcript
from tests.support.growth import assert_linear
from tests.support.lightllm_server import Says, serve_lightllm
from tests.support.model_server import Answer, delta, serve, streamed, whole

LOOK = Tool("look", "Look.", {"type": "object", "properties": {"at": {"type": "string"}}}, lambda **_: "seen")
QUESTION: Any = {"role": "user", "content": "Go."}
OPEN, CLOSE = "<tool_call>", "</tool_call>"


def call(at: str) -> str:
    return f'{OPEN}\n{{"name": "look", "arguments": {{"at": "{at}"}}}}\n{CLOSE}'


class Read(NamedTuple):
    """What was read from a text. ids: those that the model wrote, "" for each that was made. bad: calls that could not
    be parsed."""

    text: str
    reasoning: str
    calls: list[tuple[str, str]]
    ids: list[str]
    bad: list[str]


# ---- the ways: each takes the model's name, its text, and whether to stream


def by_backend(backend: Backend, stream: bool) -> Read:
    text, reasoning = "", ""
    emitted: list[Any] = []
    request = Request(Transcript([QUESTION]), Toolbox([LOOK]), stream=stream)
    for each in backend.reply(request):
        emitted.append(each)
        if isinstance(each, ReplyDiscarded):
            text = reasoning = ""
        text += each.text if isinstance(each, TextDelta) else ""
        reasoning += each.text if isinstance(each, ReasoningDelta) else ""
    backend.close()
    reply = emitted[-1]
    assert isinstance(reply, Reply)
    message: Any = reply.message
    if stream:
        assert (text, reasoning) == (message["content"] or "", message.get("reasoning_content", ""))
    else:
        assert emitted == [reply]
    found = [(each["id"], each["function"]) for each in message.get("tool_calls", ())]
    assert len({call_id for call_id, _ in found}) == len(found)
    good = [(made, each) for made, each in found if "unreadable_arguments" not in each["arguments"]]
    return Read(
        message["content"] or "",
        message.get("reasoning_content", ""),
        [(each["name"], each["arguments"]) for _, each in good],
        [made if made in WRITTEN else "" for made, _ in good],
        [json.loads(each["arguments"])["unreadable_arguments"] for made, each in found if (made, each) not in good],
    )


def by_lightllm(model: str, text: str, stream: bool) -> Read:
    with serve_lightllm([Says(text, pieces=list(text))], model=model) as server:
        return by_backend(LightLLMBackend(model, server.url), stream)


def left_in_text(text: str, stream: bool) -> Answer:
    return streamed(*(delta(content=piece) for piece in text), delta("stop")) if stream else whole(text)


def by_fallback(model: str, text: str, stream: bool) -> Read:
    with serve([left_in_text(text, stream)]) as server:
        return by_backend(OpenAIBackend(model, base_url=server.url), stream)


def by_client(client: LightLLMClient, model: str, stream: bool) -> Read:
    tools: Any = [LOOK.schema]
    if not stream:
        message = client.chat.completions.create(model, [QUESTION], tools=tools).choices[0].message
        return read_of([message])
    chunks = client.chat.completions.create(model, [QUESTION], tools=tools, stream=True)
    return read_of([chunk.choices[0].delta for chunk in chunks])


def read_of(messages: Iterable[Any]) -> Read:
    made = Read("", "", [], [], [])
    for each in messages:
        made = made._replace(
            text=made.text + (each.content or ""), reasoning=made.reasoning + (each.get("reasoning_content") or "")
        )
        for called in each.tool_calls or ():
            assert called.index == len(made.calls)
            made.calls.append((called.function.name, called.function.arguments))
            made.ids.append(called.id)
        made.bad.extend(bad["text"] for bad in each.get("invalid_tool_calls") or ())
    assert len(set(made.ids)) == len(made.ids)
    return made._replace(ids=[each if each in WRITTEN else "" for each in made.ids])


def by_generate(model: str, text: str, stream: bool) -> Read:
    with serve_lightllm([Says(text, pieces=list(text))], model=model) as server:
        with LightLLMClient("k", server.url) as client:
            return by_client(client, model, stream)


def by_chat(model: str, text: str, stream: bool) -> Read:
    with serve([left_in_text(text, stream)]) as server:
        with LightLLMClient("k", server.url.removesuffix("/v1"), mode="chat") as client:
            return by_client(client, model, stream)


BACKENDS = {"lightllm": by_lightllm, "fallback": by_fallback}
CLIENTS = {"generate": by_generate, "chat": by_chat}
WAYS = BACKENDS | CLIENTS
LOOKED = [("look", '{"at": "x"}'), ("look", '{"at": "y"}')]
WRITTEN = ("abcdefghi",)
MISTRAL = '[TOOL_CALLS] [{"name": "look", "arguments": {"at": "x"}, "id": "abcdefghi"}, '
MISTRAL += '{"name": "look", "arguments": {"at": "y"}, "id": "abcdefghi"}, {"name": "look", "arguments": {}}]'


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_text_and_calls_read_the_same_everywhere(way: Callable[..., Read], stream: bool) -> None:
    read = way("Qwen3-8B", f"I look.\n{call('x')}\n{call('y')}", stream)
    assert (read.calls, read.ids, read.reasoning, read.bad) == (LOOKED, ["", ""], "", [])
    assert read.text.split(OPEN)[0].strip() == "I look."
    assert (OPEN in read.text) == (way in CLIENTS.values() and not stream)  # a client's whole content keeps the markup


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_an_id_of_the_model_is_kept_and_missing_and_doubled_ones_are_made(
    way: Callable[..., Read], stream: bool
) -> None:
    read = way("Mistral-Nemo", MISTRAL, stream)
    assert (read.calls, read.ids) == ([*LOOKED, ("look", "{}")], ["abcdefghi", "", ""])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_reasoning_that_nothing_opened_is_reasoning_everywhere(way: Callable[..., Read], stream: bool) -> None:
    read = way("Qwen3-8B", f"Maybe {call('no')}?</think>I look.\n{call('x')}", stream)
    assert (read.calls, read.bad) == (LOOKED[:1], [])
    if way in CLIENTS.values() and stream:  # what was sent as text can't be taken back
        assert read.reasoning.endswith(f"Maybe {call('no')}?")
        assert read.text.endswith("I look.")
    else:
        assert read.reasoning == f"Maybe {call('no')}?"
        assert read.text.split("\n")[0] == "I look."


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("way", [by_lightllm, by_generate, by_chat])
def test_reasoning_between_tags_is_reasoning_where_the_family_is_known(way: Callable[..., Read], stream: bool) -> None:
    read = way("Qwen3-8B", f"<think>\nI think of {call('no')}.\n</think>\n\nI look.\n{call('x')}", stream)
    assert (read.calls, read.reasoning) == (LOOKED[:1], f"I think of {call('no')}.")
    assert read.text.split("\n")[0] == "I look."


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_call_that_cannot_be_parsed_is_reported_everywhere(way: Callable[..., Read], stream: bool) -> None:
    bad = f"{OPEN}\n{{bad json}}\n{CLOSE}"
    read = way("Qwen3-8B", f"{bad}\n{call('x')}", stream)
    assert (read.calls, read.bad) == (LOOKED[:1], [bad])
    assert (bad in read.text) == (way in CLIENTS.values())


def test_calls_in_the_text_are_numbered_after_those_of_the_server() -> None:
    native = {"index": 0, "id": "n", "function": {"name": "look", "arguments": '{"at": "n"}'}}
    chunks = [*(delta(content=piece) for piece in call("x")), delta(tool_calls=[native]), delta("stop")]
    with serve([streamed(*chunks)]) as server:
        with LightLLMClient("k", server.url.removesuffix("/v1"), mode="chat") as client:
            read = by_client(client, "Qwen3-8B", stream=True)
    assert read.calls == [("look", '{"at": "n"}'), LOOKED[0]]


# ---- parts

PARTS = st.lists(
    st.one_of(
        st.builds(Text, st.text(min_size=1, max_size=5)),
        st.builds(Thought, st.text(min_size=1, max_size=5)),
        st.builds(LateReasoning, st.text(min_size=1, max_size=5)),
        st.builds(Call, st.sampled_from(["a", "b"]), st.just('{"x": 1}'), st.sampled_from([None, "i", "c_0", "c_1"])),
        st.builds(BadCall, st.text(max_size=5), st.just("it is bad"), st.sampled_from([None, "a"])),
    ),
    max_size=8,
)


@given(PARTS)
def test_what_a_stream_leaves_standing_is_the_reply(parts: list[Segment]) -> None:
    begun: list[tuple[str, str, list[str]]] = []
    made = TextReply("c", lambda name, arguments, before: begun.append((name, arguments, [*before])), call_deltas=True)
    standing: list[Any] = []
    for each in made.add(parts):
        standing = [] if isinstance(each, ReplyDiscarded) else [*standing, each]
    reply = made.reply("stop", Usage(requests=1))
    message: Any = reply.message
    calls = message.get("tool_calls", [])
    assert "".join(each.text for each in standing if isinstance(each, TextDelta)) == (message["content"] or "")
    reasoning = "".join(each.text for each in standing if isinstance(each, ReasoningDelta))
    assert reasoning == message.get("reasoning_content", "")
    good = [each["function"] for each in calls if "unreadable_arguments" not in each["function"]["arguments"]]
    assert [each.name for each in standing if isinstance(each, CallDelta)] == [each["name"] for each in good]
    assert all(arguments == '{"x": 1}' for _, arguments, _ in begun)  # a call that can't be parsed is never begun
    assert len({each["id"] for each in calls}) == len(calls)
    assert reply.finish_reason == ("tool_calls" if calls else "stop")
    quiet = TextReply("c", stream=False)
    assert list(quiet.add(parts)) == []
    assert quiet.reply("stop", Usage(requests=1)) == reply


@given(PARTS)
def test_a_stream_for_clients_has_its_calls_last_with_unique_ids(parts: list[Segment]) -> None:
    new = iter(f"new{number}" for number in range(100))
    deltas = StreamDeltas(lambda: next(new))
    early = deltas.all_of(parts)
    late = list(deltas.calls(first=3))
    assert not any("tool_calls" in each for each in early)
    found = [each["tool_calls"][0] for each in late]
    assert [each["index"] for each in found] == [*range(3, 3 + len(found))]
    assert len({each["id"] for each in found}) == len(found)


@pytest.mark.parametrize("part", [f"{OPEN}\n{{bad}}\n{CLOSE}\n", call("x") + "\n", "word ", "</think>x"])
def test_a_message_is_built_in_linear_time(part: str) -> None:
    def work(count: int) -> None:
        parser = ReplyParser(family_named("hermes").format, [LOOK.schema])
        whole_message(parser, part * count, lambda: "new", cut_off=False)
        built = TextReply("c")
        parser = ReplyParser(family_named("hermes").format, [LOOK.schema])
        for _ in range(count):
            list(built.add(parser.feed(part)))
        built.reply("stop", Usage())

    assert_linear(work, 500)
