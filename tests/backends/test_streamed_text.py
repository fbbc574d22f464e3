"""A text that a server sends again is shown and kept once; what a model repeats is never lost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit import Agent
from agentkit.backends.chat_protocol import Accumulator
from agentkit.event import ReasoningDelta, ReplyDiscarded, RunFinished, TextDelta
from tests.support.growth import assert_linear
from tests.support.model_server import Answer, delta, serve, streamed

TEXT = "The answer is forty-two."
WORDS = ["The", " answer", " is", " forty", "-two."]
END = delta("stop")


def said(answer: Answer) -> tuple[str, str, str, dict[str, Any]]:
    """What a streamed run shows as text and as reasoning, its output, and the reply's message."""
    with serve([answer]) as server, Agent(f"openai:m@{server.url}") as agent:
        events = list(agent.stream("Go."))
    assert not any(isinstance(event, ReplyDiscarded) for event in events)
    last = events[-1]
    assert isinstance(last, RunFinished)
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    thoughts = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    message: Any = last.result.messages[-1]
    return text, thoughts, last.result.output, message


def texts(*pieces: str, reason: str | None = None) -> list[dict[str, Any]]:
    return [*(delta(content=piece) for piece in pieces[:-1]), delta(reason, content=pieces[-1])]


def message(reason: str | None = "stop", **fields: Any) -> dict[str, Any]:
    whole = {"role": "assistant", "content": TEXT, **fields}
    return {"choices": [{"index": 0, "delta": {}, "message": whole, "finish_reason": reason}]}


ANEW = ["".join(WORDS[: place + 1]) for place in range(len(WORDS))]
LETTERS = [TEXT[: place + 1] for place in range(len(TEXT))]

ONCE = {
    "the message behind": [*texts(*WORDS), message()],
    "the message behind the end": [*texts(*WORDS), END, message()],
    "the message and the delta": [
        *texts(*WORDS[:-1]),
        {"choices": [{**message()["choices"][0], **texts(WORDS[-1])[0]["choices"][0]}]},
    ],
    "the message behind, stripped": [*texts(*WORDS, "\n"), message()],
    "the message behind half of it": [*texts(*WORDS[:3]), message()],
    "the message alone": [message()],
    "the message with each chunk": [*(message(None, content=each) for each in ANEW), message()],
    "pieces as messages": [*(message(None, content=each) for each in WORDS), message(content="")],
    "the message as parts behind": [*texts(*WORDS), message(content=[{"type": "text", "text": TEXT}])],
    "said again at the end": texts(*WORDS, TEXT, reason="stop"),
    "said again before the end": [*texts(*WORDS, TEXT), END],
    "said again without an end": texts(*WORDS, TEXT),
    "said again in a short one": [*texts("The answer is ", "forty-two."), *texts(TEXT, reason="stop")],
    "said again twice": [*texts(*WORDS, TEXT, TEXT), END],
    "said again with the last word": [*texts(*WORDS[:-1], TEXT), END],
    "anew with each piece": [*texts(*ANEW), END],
    "anew with each piece, and again": [*texts(*ANEW, TEXT), END],
    "anew with each letter": [*texts(*LETTERS), END],
    "anew in three pieces": [*texts("The answer", "The answer is", TEXT), END],
    "anew in three pieces, without an end": texts("The answer", "The answer is", TEXT),
}


@pytest.mark.parametrize("odd", ONCE)
def test_a_text_that_the_server_repeats_is_shown_and_kept_once(odd: str) -> None:
    text, _, output, kept = said(streamed(*ONCE[odd]))
    assert (text.strip(), output.strip(), kept["content"].strip()) == (TEXT, TEXT, TEXT)
    assert text == output == kept["content"]


THOUGHTS = {
    "the message behind": [*(delta(reasoning_content=each) for each in WORDS), message(reasoning_content=TEXT)],
    "the message behind, under another name": [
        *(delta(reasoning=each) for each in WORDS),
        message(reasoning_content=TEXT),
    ],
    "anew with each piece": [*(delta(reasoning_content=each) for each in ANEW), message()],
    "said again": [*(delta(reasoning_content=each) for each in [*WORDS, TEXT]), message()],
}


@pytest.mark.parametrize("odd", THOUGHTS)
def test_reasoning_that_the_server_repeats_is_shown_and_kept_once(odd: str) -> None:
    text, thoughts, output, kept = said(streamed(*THOUGHTS[odd]))
    assert (thoughts, text, output) == (TEXT, TEXT, TEXT)
    assert [kept[key] for key in ("reasoning_content", "reasoning") if key in kept] == [TEXT]


REPEATED = [
    ["ha", "ha"],
    ["ha", "ha", "ha", "ha"],
    ["ha ", "ha ", "ha ha ha "],
    ["na", "na na", "na na na"],
    ["-" * 8, "-" * 8, "-" * 16],
    ["4", "42"],
    ["no", "no, no"],
    ["Row, row, ", "Row, row, ", "row your boat."],
    ["Row, ", "row, ", "row your boat. ", "Row, row, row your boat. ", "Gently down the stream."],
    ["I will not talk.", "I will not talk."],
    ["I will not talk.\n"] * 6,
    ["1", "10", "100", "1000"],
    ["a", "an", "and", "andy"],
    [TEXT, " " + TEXT],
]


@pytest.mark.parametrize("pieces", REPEATED)
@pytest.mark.parametrize("ends", [True, False])
def test_what_a_model_repeats_is_not_lost(pieces: list[str], ends: bool) -> None:
    text, _, output, kept = said(streamed(*texts(*pieces), *([END] if ends else [])))
    assert text == output == kept["content"] == "".join(pieces)


@given(st.lists(st.text("ab \n", min_size=1, max_size=9), max_size=12), st.booleans())
def test_a_text_is_the_sum_of_its_pieces(pieces: list[str], ends: bool) -> None:
    accumulator = Accumulator("c")
    chunks = [*(delta(content=piece) for piece in pieces), *([END] if ends else [])]
    deltas = [each for chunk in chunks for each in accumulator.feed(chunk)] + list(accumulator.rest())
    shown = "".join(each.text for each in deltas if isinstance(each, TextDelta))
    assert shown == accumulator.reply().message["content"] == "".join(pieces)


@given(st.lists(st.text(min_size=1, max_size=9), max_size=8))
def test_the_complete_message_adds_nothing_to_its_deltas(pieces: list[str]) -> None:
    whole = "".join(pieces)
    accumulator = Accumulator("c")
    chunks = [*(delta(content=piece) for piece in pieces), message(content=whole)]
    shown = "".join(each.text for chunk in chunks for each in accumulator.feed(chunk) if isinstance(each, TextDelta))
    assert shown == whole
    assert accumulator.reply().message["content"] == (whole.encode("utf-16", "surrogatepass").decode("utf-16"))


@pytest.mark.parametrize("piece", ["a", "The answer is forty-two. ", ""])
def test_a_text_is_added_up_in_linear_time(piece: str) -> None:
    def work(count: int) -> None:
        accumulator = Accumulator("c")
        for _ in range(count):
            list(accumulator.feed(delta(content=piece)))
        accumulator.reply()

    assert_linear(work, 5_000)
