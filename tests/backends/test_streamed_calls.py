"""Calls that a server repeats, splits or misplaces are run once each, with the arguments that the model wrote."""

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Agent, Limits, Result, tool
from agentkit.backends.chat_protocol import Accumulator
from agentkit.event import RunFinished
from tests.support.growth import assert_linear
from tests.support.model_server import Answer, delta, serve, streamed, whole

BOB, ANN = '{"to": "bob"}', '{"to": "ann"}'


def called(name: str | None = "send", arguments: Any = BOB, call_id: str | None = "c1", index: int | None = 0) -> Any:
    """An entry of `tool_calls`; None leaves a field out."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    fields = {"index": index, "id": call_id, "function": function}
    return {key: value for key, value in fields.items() if value is not None}


def chunk(*calls: Any, reason: str | None = None, **fields: Any) -> dict[str, Any]:
    return delta(reason, tool_calls=list(calls), **fields)


def ran(answer: Answer, stream: bool = True) -> tuple[list[str], Result]:
    """To whom the tool has sent something when a model answers a request like this."""
    sent: list[str] = []

    @tool
    def send(to: str = "nobody", text: str = "") -> str:
        """Send a message."""
        sent.append(to + text)
        return f"sent to {to}"

    with (
        serve([answer, whole("Done.")]) as server,
        Agent(f"openai:m@{server.url}", tools=[send], limits=Limits(turns=4)) as agent,
    ):
        if not stream:
            return sent, agent.run("Send it.")
        last = list(agent.stream("Send it."))[-1]
    assert isinstance(last, RunFinished)
    return sent, last.result


END = delta("tool_calls")
WHOLE = {"role": "assistant", "content": None, "tool_calls": [called(index=None)]}


def message(reason: str | None = "tool_calls", **fields: Any) -> dict[str, Any]:
    """A chunk with a complete message."""
    return {"choices": [{"index": 0, "delta": {}, "message": {**WHOLE, **fields}, "finish_reason": reason}]}


def choices(*each: dict[str, Any]) -> dict[str, Any]:
    return {"choices": list(each)}


PIECES = [chunk(called(arguments="")), *(chunk(called(None, each, None)) for each in ('{"to"', ': "b', 'ob"}'))]
ONCE = {
    "repeated without its id": [*PIECES, chunk(called(call_id=None), reason="tool_calls")],
    "repeated with its id": [*PIECES, chunk(called(), reason="tool_calls")],
    "repeated twice": [*PIECES, chunk(called()), chunk(called()), END],
    "repeated without its name": [*PIECES, chunk(called(None)), END],
    "repeated in another form": [*PIECES, chunk(called(arguments='{"to":"bob"}', call_id=None)), END],
    "repeated under another index": [*PIECES, chunk(called(index=1)), END],
    "repeated under another index without its id": [*PIECES, chunk(called(call_id=None, index=1)), END],
    "repeated without ids at the end": [
        chunk(called(call_id=None)),
        chunk(called(call_id=None, index=1), reason="stop"),
    ],
    "repeated without id and index": [*PIECES, chunk(called(call_id=None, index=None)), END],
    "repeated without ids at all": [chunk(called(call_id=None)), chunk(called(call_id=None)), END],
    "repeated in pieces": [*PIECES, *PIECES, END],
    "repeated in pieces without its id": [*PIECES, chunk(called(arguments="", call_id=None)), *PIECES[1:], END],
    "repeated after the end": [*PIECES, END, chunk(called()), END],
    "repeated with a new id": [*PIECES, chunk(called(call_id="other")), END],
    "repeated as an object": [*PIECES, chunk(called(arguments={"to": "bob"})), END],
    "its id comes with the repetition": [chunk(called(call_id=None)), chunk(called()), END],
    "cut at first, then whole": [*PIECES[:-1], chunk(called()), END],
    "cut at first, then whole under another index": [*PIECES[:-1], chunk(called(index=1)), END],
    "a piece sent twice": [*PIECES[:2], PIECES[1], *PIECES[2:], END],
    "arguments anew with each piece": [
        *(chunk(called(arguments=each)) for each in ("", '{"to"', '{"to": "b', BOB, BOB)),
        END,
    ],
    "arguments anew without name and id": [
        chunk(called(arguments="")),
        *(chunk(called(None, BOB[:end], None)) for end in range(1, len(BOB) + 1)),
        END,
    ],
    "arguments anew without ids": [*(chunk(called(arguments=each, call_id=None)) for each in ('{"to"', BOB, BOB)), END],
    "arguments anew as objects": [*(chunk(called(arguments=each)) for each in ({}, {"to": "b"}, {"to": "bob"})), END],
    "an empty object first": [chunk(called(arguments="{}")), chunk(called(None, BOB, None)), END],
    "an empty object first, named again": [
        chunk(called(arguments="{}", call_id=None)),
        chunk(called(call_id=None)),
        END,
    ],
    "an empty object as such first": [chunk(called(arguments={})), chunk(called()), END],
    "arguments null first": [chunk(called(arguments=None)), chunk(called(None, BOB, None)), END],
    "name after the arguments": [chunk(called(None)), chunk(called("send", None, None)), END],
    "name after the arguments, with the id": [chunk(called(None, BOB, None)), chunk(called(arguments="")), END],
    "name after the arguments, with them": [chunk(called(None)), chunk(called()), END],
    "name after the arguments, without index": [
        chunk(called(None, BOB, None, None)),
        chunk(called("send", "", None, None)),
        END,
    ],
    "name in pieces after the arguments": [
        chunk(called(None)),
        chunk(called("se", None, None)),
        chunk(called("nd", None, None)),
        END,
    ],
    "name between pieces of the arguments": [
        chunk(called(None, '{"to": ')),
        chunk(called("send", None, None)),
        chunk(called(None, '"bob"}', None)),
        END,
    ],
    "name in pieces": [chunk(called("se", None)), chunk(called("nd", None, None)), chunk(called(None, BOB, None)), END],
    "name anew with each piece": [chunk(called("se", None)), chunk(called("send", None)), chunk(called("send")), END],
    "name with each piece": [chunk(called(arguments=each)) for each in ('{"to"', ': "bob"}', "", " \n")] + [END],
    "its name again under another index": [*PIECES, chunk(called(arguments="", call_id=None, index=1)), END],
    "its name again under another index, with the id": [*PIECES, chunk(called(arguments="", index=1)), END],
    "repeated and cut off": [*PIECES, chunk(called(arguments='{"to": "b', call_id=None)), END],
    "blank arguments behind": [
        *PIECES,
        chunk(called(None, "", None), reason="tool_calls"),
        chunk(called(None, " ", None)),
    ],
    "an empty entry behind": [
        *PIECES,
        chunk({"index": 1}, {"index": 2, "function": {"name": "", "arguments": ""}}),
        END,
    ],
    "another index with each piece": [
        *(chunk(called(None if n else "send", BOB[3 * n : 3 * n + 3], "c1", n)) for n in range(5)),
        END,
    ],
    "the message behind": [*PIECES, message()],
    "the message behind, with delta": [*PIECES, END, {"choices": [{"delta": {"content": ""}, "message": WHOLE}]}],
    "the message behind, with a new id": [*PIECES, message(tool_calls=[called(call_id="other")])],
    "the message behind, without id": [*PIECES, message(tool_calls=[called(call_id=None)])],
    "the message behind half a call": [*PIECES[:-1], message()],
    "the message behind a name": [PIECES[0], message(tool_calls=[called(call_id=None)])],
    "the message alone": [message()],
    "the message twice": [message(None), message()],
    "function_call": [delta(function_call={"name": "send", "arguments": BOB}), END],
    "function_call beside": [*PIECES, delta(function_call={"name": "send", "arguments": BOB}), END],
    "function_call first": [delta(function_call={"name": "send", "arguments": BOB}), *PIECES, END],
    "function_call in pieces beside": [
        *(
            chunk(*each["choices"][0]["delta"]["tool_calls"], function_call=part)
            for each, part in zip(
                PIECES,
                ({"name": "send"}, {"arguments": '{"to"'}, {"arguments": ': "b'}, {"arguments": 'ob"}'}),
                strict=True,
            )
        ),
        END,
    ],
    "another choice": [
        delta(content="I send."),
        choices({"index": 1, "delta": {"tool_calls": [called()]}, "finish_reason": "tool_calls"}),
        delta("stop"),
    ],
    "another choice in the same chunk": [
        choices(
            {"index": 0, "delta": {"content": "I send."}, "finish_reason": "tool_calls"},
            {"index": 1, "delta": {"tool_calls": [called()]}, "finish_reason": "tool_calls"},
        )
    ],
    "both choices": [
        *PIECES,
        choices({"index": 1, "delta": {"tool_calls": [called(call_id="d1")]}, "finish_reason": "tool_calls"}),
        END,
    ],
    "arguments under another index": [  # danny-avila/LibreChat#13987
        chunk(called(arguments="", index=2)),
        *(chunk(called(None, each, None, index=1)) for each in ('{"to"', ': "b', 'ob"}')),
        END,
    ],
    "only choice 1": [choices({"index": 1, "delta": {"tool_calls": [called()]}, "finish_reason": "tool_calls"})],
    "one call as a mapping": [delta(tool_calls=called()), END],
}


@pytest.mark.parametrize("odd", ONCE)
def test_a_call_is_run_once_however_it_is_streamed(odd: str) -> None:
    sent, result = ran(streamed(*ONCE[odd]))
    assert (sent, result.output, result.stopped) == (["bob"], "Done.", "answer")
    assert len(result.tool_calls) == 1
    made: Any = result.messages[1]["tool_calls"]
    assert json.loads(made[0]["function"]["arguments"]) == {"to": "bob"}


TWICE = {
    "two ids": [chunk(called()), chunk(called(call_id="c2", index=1)), END],
    "two ids without indexes": [chunk(called(index=None)), chunk(called(call_id="c2", index=None)), END],
    "two ids in one delta": [chunk(called(), called(call_id="c2", index=1)), END],
    "two ids in one delta with one index": [chunk(called(), called(call_id="c2")), END],
    "two indexes without ids": [chunk(called(call_id=None)), chunk(called(call_id=None, index=1)), END],
    "together without ids and indexes": [
        chunk(called(call_id=None, index=None), called(call_id=None, index=None)),
        END,
    ],
    "two that are repeated": [
        *(chunk(called(call_id=f"c{n}", index=n)) for n in range(2)),
        chunk(called(call_id="c0", index=0), called(call_id="c1", index=1), reason="tool_calls"),
    ],
    "two that are repeated without ids": [
        *(chunk(called(call_id=f"c{n}", index=n)) for n in range(2)),
        chunk(called(call_id=None, index=0), called(call_id=None, index=1), reason="tool_calls"),
    ],
    "two and the message": [
        *(chunk(called(call_id=f"c{n}", index=n)) for n in range(2)),
        message(tool_calls=[called(call_id="c0"), called(call_id="c1")]),
    ],
}


@pytest.mark.parametrize("odd", TWICE)
def test_two_equal_calls_are_two_where_the_server_says_so(odd: str) -> None:
    assert ran(streamed(*TWICE[odd]))[0] == ["bob", "bob"]


OTHERS = {
    "two ids with one index": [chunk(called()), chunk(called(arguments=ANN, call_id="c2")), END],
    "neither ids nor indexes": [
        chunk(called(call_id=None, index=None)),
        chunk(called(arguments=ANN, call_id=None, index=None)),
        END,
    ],
    "one id for all": [chunk(called()), chunk(called(arguments=ANN, index=1)), END],
    "interleaved by id": [
        chunk(called(arguments='{"to": ', call_id="a", index=None)),
        chunk(called(arguments='{"to": ', call_id="b", index=None)),
        chunk(called(None, '"bob"}', "a", None), called(None, '"ann"}', "b", None)),
        END,
    ],
    "arguments under other indexes": [
        chunk(called(arguments="", index=2)),
        chunk(called(None, BOB, None, index=1)),
        chunk(called(arguments="", call_id="c2", index=3)),
        chunk(called(None, ANN, None, index=2)),
        END,
    ],
    "one of them repeated": [
        chunk(called()),
        chunk(called(arguments=ANN, call_id="c2", index=1)),
        chunk(called(call_id=None), reason="tool_calls"),
    ],
    "the message has one more": [*PIECES, message(tool_calls=[called(), called(arguments=ANN, call_id="c2")])],
}


@pytest.mark.parametrize("odd", OTHERS)
def test_different_calls_are_different_calls(odd: str) -> None:
    assert ran(streamed(*OTHERS[odd]))[0] == ["bob", "ann"]


NOT_RUN = {
    "two arguments for one call": [*PIECES, chunk(called(None, ANN, None)), END],
    "two arguments for one call, as an object": [*PIECES, chunk(called(arguments={"to": "ann"})), END],
    "the message says something else": [*PIECES, message(tool_calls=[called(arguments=ANN)])],
    "arguments anew, cut off": [*(chunk(called(arguments=each)) for each in ("", '{"to"', '{"to": "b')), END],
    "arguments anew, cut off before a brace": [
        *(chunk(called(arguments=each)) for each in ("{'to': ", "{'to': 'bob'")),
        END,
    ],
}


@pytest.mark.parametrize("odd", NOT_RUN)
def test_a_call_whose_arguments_are_not_certain_is_not_run_and_the_model_is_told(odd: str) -> None:
    sent, result = ran(streamed(*NOT_RUN[odd]))
    assert sent == []
    assert all(record.error for record in result.tool_calls)
    assert result.output == "Done."


COMPLETE: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "one id twice": ([{"message": {**WHOLE, "tool_calls": [called(), called()]}}], ["bob"]),
    "one id for two calls": ([{"message": {**WHOLE, "tool_calls": [called(), called(arguments=ANN)]}}], ["bob", "ann"]),
    "two ids": ([{"message": {**WHOLE, "tool_calls": [called(), called(call_id="c2")]}}], ["bob", "bob"]),
    "no ids": ([{"message": {**WHOLE, "tool_calls": [called(call_id=None), called(call_id=None)]}}], ["bob", "bob"]),
    "with and without id": ([{"message": {**WHOLE, "tool_calls": [called(), called(call_id=None)]}}], ["bob"]),
    "function_call beside": ([{"message": {**WHOLE, "function_call": {"name": "send", "arguments": BOB}}}], ["bob"]),
    "function_call first": (
        [{"message": {"function_call": {"name": "send", "arguments": BOB}, **WHOLE}}],
        ["bob"],
    ),
    "function_call alone": (
        [{"message": {"content": None, "function_call": {"name": "send", "arguments": BOB}}}],
        ["bob"],
    ),
    "another choice": (
        [{"index": 0, "message": {"content": "I send."}}, {"index": 1, "message": WHOLE}],
        ["bob"],
    ),
    "another choice without indexes": ([{"message": {"content": "I send."}}, {"message": WHOLE}], ["bob"]),
    "another choice with the same index": (
        [{"index": 0, "message": {"content": "I send."}}, {"index": 0, "message": WHOLE}],
        ["bob"],
    ),
    "both choices": ([{"index": 0, "message": WHOLE}, {"index": 1, "message": WHOLE}], ["bob"]),
    "both choices without indexes": ([{"message": WHOLE}, {"message": WHOLE}], ["bob"]),
}


@pytest.mark.parametrize("odd", COMPLETE)
@pytest.mark.parametrize("stream", [False, True])
def test_the_calls_of_a_complete_response_are_run_once_each(odd: str, stream: bool) -> None:
    given_choices, expected = COMPLETE[odd]
    body = {"object": "chat.completion", "choices": [{**each, "finish_reason": "tool_calls"} for each in given_choices]}
    sent, result = ran(Answer(json.dumps(body).encode()), stream)
    assert sent == expected
    assert result.output == "Done."


# ---- early start


@pytest.mark.parametrize("odd", ONCE)
def test_a_call_begins_once_and_with_all_of_its_arguments(odd: str) -> None:
    begun: list[tuple[str, Any]] = []
    accumulator = Accumulator("c", lambda name, arguments, before: begun.append((name, json.loads(arguments))))
    for each in ONCE[odd]:
        list(accumulator.feed(each))
    assert [each for each in begun if each[1]] in ([], [("send", {"to": "bob"})])
    assert len(begun) <= 1 or begun[0][1] == {}


@pytest.mark.parametrize("odd", [odd for odd in TWICE if "message" not in odd])
def test_two_equal_calls_begin_both(odd: str) -> None:
    begun: list[str] = []
    accumulator = Accumulator("c", lambda name, arguments, before: begun.append(arguments))
    for each in TWICE[odd]:
        list(accumulator.feed(each))
    assert begun == [BOB, BOB]


# ---- any split, any repetition

VALUES = st.recursive(
    st.text(max_size=6) | st.integers(-9, 9), lambda inner: st.dictionaries(st.sampled_from("ab"), inner), max_leaves=4
)
CALLS = st.lists(
    st.tuples(st.sampled_from(["send", "look_up"]), st.dictionaries(st.sampled_from("abc"), VALUES, max_size=2)),
    min_size=1,
    max_size=3,
)


def split(text: str, chance: random.Random) -> list[str]:
    places = sorted(chance.randint(0, len(text)) for _ in range(chance.randint(0, 5)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def streamed_calls(made: Sequence[dict[str, Any]], chance: random.Random, anew: bool) -> list[dict[str, Any]]:
    chunks = []
    for index, each in enumerate(made):
        name, arguments = each["function"]["name"], each["function"]["arguments"]
        late = chance.random() < 0.3
        sent = split(arguments, chance)
        if anew:
            sent = ["".join(sent[: place + 1]) for place in range(len(sent))]
        chunks.append(chunk(called(None if late else name, None, each["id"], index)))
        chunks += [chunk(called(None, piece, None, index)) for piece in sent]
        if late:
            chunks.append(chunk(called(name, None, None, index)))
    return chunks


@settings(deadline=None, max_examples=150)
@given(
    CALLS,
    st.integers(0, 10**6),
    st.sampled_from(["", "ids", "no ids", "message", "message without ids"]),
    st.booleans(),
)
def test_calls_are_the_same_however_they_are_split_and_repeated(
    made: list[tuple[str, dict[str, Any]]], seed: int, repeated: str, anew: bool
) -> None:
    chance = random.Random(seed)
    calls = [
        {"id": f"c{place}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for place, (name, arguments) in enumerate(made)
    ]
    chunks = streamed_calls(calls, chance, anew)
    again = [{**call, "index": place} for place, call in enumerate(calls)]
    if "no ids" in repeated or "without" in repeated:
        again = [{key: value for key, value in call.items() if key != "id"} for call in again]
    if repeated.startswith("message"):
        chunks.append(message(tool_calls=again))
    elif repeated:
        chunks += [chunk(*again)] if chance.random() < 0.5 else [chunk(each) for each in again]
    accumulator = Accumulator("x")
    for each in [*chunks, END]:
        list(accumulator.feed(each))
    assert accumulator.reply().message["tool_calls"] == calls


@pytest.mark.parametrize("anew", [False, True])
def test_repeated_calls_are_read_in_linear_time(anew: bool) -> None:
    def work(count: int) -> None:
        accumulator = Accumulator("c")
        for place in range(count):
            name = None if anew else "send"
            list(accumulator.feed(chunk(called(name, BOB, None if anew else f"c{place}", 0 if anew else place))))
        accumulator.reply()

    assert_linear(work, 2_000)
