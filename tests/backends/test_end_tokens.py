"""Tokens that end a turn, left at the end of a text by a self-hosted server that does not know them."""

import pytest

from agentkit import Agent, Result, tool
from agentkit.backends import OpenAIBackend
from agentkit.backends.end_tokens import TOKENS
from agentkit.event import TextDelta
from agentkit.text.families import families
from tests.support.model_server import Answer, calls, delta, serve, streamed, whole

# moltis-org/moltis#306, ggml-org/llama.cpp#6903, marella/ctransformers#124, ShenghaiWang/SwiftLlama#4


@tool(read_only=True)
def look() -> str:
    """Look."""
    return "21"


def in_pieces(text: str, size: int, reason: str = "stop") -> Answer:
    return streamed(*(delta(content=text[at : at + size]) for at in range(0, len(text), size)), delta(reason))


def answered(text: str, size: int = 0, reason: str = "stop") -> tuple[str, Result]:
    """The text that was shown, and the result. size: of each piece; 0 for a whole reply."""
    answer = in_pieces(text, size, reason) if size else whole(text, finish_reason=reason)
    with serve([answer]) as server, Agent(OpenAIBackend("m", base_url=server.url), tools=[look]) as agent:
        run = agent.stream("Hi.") if size else agent.run("Hi.")
        if isinstance(run, Result):
            return str(run.output), run
        shown = "".join(event.text for event in run if isinstance(event, TextDelta))
        assert run.result is not None
        return shown, run.result


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("size", [0, 1, 4, 1000])
def test_a_token_that_ends_the_turn_is_not_part_of_the_answer(token: str, size: int) -> None:
    for end in (token, f"{token}\n", token * 3):
        shown, result = answered(f"It is **21** in [Oslo].{end}", size)
        assert (shown, result.output) == ("It is **21** in [Oslo].",) * 2
        assert result.messages[-1]["content"] == result.output


@pytest.mark.parametrize("size", [0, 3])
@pytest.mark.parametrize(
    "text",
    [
        "In ChatML it is <|im_end|>",
        "It is `<|im_end|>`",
        'It is "<|im_end|>',
        "<|im_end|> ends it.",
        "5 <|",
        "<s>Old</s>",
        "Fine.<|im_end",
        "a < b",
        "Fine.<|im_end|> Right?",
    ],
)
def test_a_text_about_such_a_token_stays(text: str, size: int) -> None:
    assert answered(text, size)[0] == text
    assert answered(text, size)[1].output == text


@pytest.mark.parametrize("size", [0, 3])
def test_a_text_that_was_cut_off_stays(size: int) -> None:
    assert answered("a<|im_end|>", size, "length")[0] == "a<|im_end|>"


def test_a_stream_of_such_tokens_is_not_held_back_without_a_bound() -> None:
    text = "Fine." + "<|endoftext|>" * 2000
    shown, result = answered(text, 13)
    assert shown == result.output
    assert shown.startswith("Fine.<|endoftext|>")


def test_reasoning_and_calls_before_it_are_read() -> None:
    shown, result = answered("<think>Hm.</think>Fine.<|im_end|>", 2)
    assert (shown, result.messages[-1]["reasoning_content"]) == ("Fine.", "Hm.")
    with serve(
        [in_pieces('<tool_call>\n{"name": "look", "arguments": {}}\n</tool_call><|im_end|>', 3), whole("21.")]
    ) as s:
        result = Agent(OpenAIBackend("qwen3", base_url=s.url), tools=[look]).run("Hi.")
    assert [call.name for call in result.tool_calls] == ["look"]
    with serve([calls(("look", {})), whole("21.</s>")]) as s:
        assert Agent(OpenAIBackend("m", base_url=s.url), tools=[look]).run("Hi.").output == "21."


def test_the_tokens_of_every_family_are_known() -> None:
    others = {  # what begins another turn or a result, and is also a tag, a word or an old numbered token
        *(
            "<|tools_suffix|>",
            "<start_function_response>",
            "<|tool_response>",
            "user<|role_sep|>",
            "<function_response>",
        ),
        *("function result<|role_sep|>", "</assistant>", "<end_of_sentence>", "<SPECIAL_12>", "<sep>", "<|call|>"),
    }
    assert {end for family in families() for end in family.ends} - others <= set(TOKENS)
