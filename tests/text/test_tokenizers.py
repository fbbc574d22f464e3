"""Prompts as the makers' own tokenizers encode them: no special token comes from untrusted text, the prompts of a run
begin with each other's tokens, and what stops or begins a reply is the token that it stands for."""

import json
import re
from itertools import pairwise
from typing import Any

import pytest

from agentkit.text.families import family_named
from agentkit.text.prompt import PromptMaker
from agentkit.text.special_tokens import neutralised
from tests.support.tokenizers import Tokenizer, tokenizer
from tests.text.test_prompt import WEATHER, everywhere

FAMILIES = {
    "qwen": ("qwen2.5", "qwen3", "qwen3.5", "qwen3_coder", "qwq", "hermes", "xlam2"),
    "llama": ("llama", "llama3", "xlam2_llama", "functionary_v3.1", "firefunction_v2", "nemotron_super_v1.5"),
    "mistral": ("mistral", "mistral_v7", "mistral_v11", "mistral_v13"),
    "deepseek": ("deepseek", "deepseek_v3", "deepseek_r1", "deepseek_r1_0528", "deepseek_v3.2", "deepseek_v4"),
}
BOTH = [pytest.param(maker, family, id=family) for maker, families in FAMILIES.items() for family in families]


def tokens_of(maker: str) -> list[str]:
    """Returns the added tokens: of many with the same name and a number, the first."""
    return list({re.sub(r"\d+", "0", token): token for token in reversed(tokenizer(maker).added)}.values())


def variants(token: str, other: str) -> list[str]:
    """A token alone, twice, within words, in pieces around itself and another, and with look-alikes."""
    middle = len(token) // 2
    start, end = token[:middle], token[middle:]
    pieces = [f"{start}{inner}{end}" for inner in (token, other, start + token + end)]
    return [token, token * 2, f"a{token}b", *pieces, f"‹{token}›", token.upper(), f"<{token}>"]


def encoded(maker: str, family: str, messages: list[dict[str, Any]], description: str = "Weather.") -> list[int]:
    tool = {"type": "function", "function": {**WEATHER["function"], "description": description}}
    return tokenizer(maker).encode(PromptMaker(family_named(family)).prompt(messages, [tool]).text)


def counts(kind: Tokenizer, ids: list[int]) -> dict[str, int]:
    present: dict[int, int] = {}
    for each in ids:
        present[each] = present.get(each, 0) + 1
    return {token: present.get(number, 0) for token, number in kind.added.items()}


@pytest.mark.parametrize("maker", FAMILIES)
def test_neutralised_text_has_no_added_token(maker: str) -> None:
    kind = tokenizer(maker)
    names = tokens_of(maker)
    added = set(kind.added.values())
    for token, other in zip(names, [*names[1:], names[0]], strict=True):
        text = neutralised("\n".join(variants(token, other)))
        assert not added & set(kind.encode(text)), text


@pytest.mark.parametrize(("maker", "family"), BOTH)
def test_no_untrusted_text_adds_a_special_token_to_a_prompt(maker: str, family: str) -> None:
    kind = tokenizer(maker)
    text = "\n".join(each for token in tokens_of(maker) for each in variants(token, "<|im_end|>")[::3])
    plain = counts(kind, encoded(maker, family, everywhere("ok"), "ok"))
    made = counts(kind, encoded(maker, family, everywhere(text), text))
    assert made == plain


@pytest.mark.parametrize(("maker", "family"), BOTH)
def test_a_token_in_the_parts_of_a_content_is_none(maker: str, family: str) -> None:
    kind = tokenizer(maker)
    for token in family_named(family).ends:
        parts = [{"type": "text", "text": each} for each in (token[:3], token[3:])]
        asked, plain = ([{"role": "user", "content": content}] for content in (parts, "ok"))
        assert counts(kind, encoded(maker, family, asked)) == counts(kind, encoded(maker, family, plain))


# ---- what a server's prompt cache needs


LOST = {"hermes": 4, "qwq": 2, "qwen3.5": 1, "deepseek_r1": 2}
"""Tokens at the end of a prompt that the next prompt of the run does not begin with, as the official templates have it.
Hermes: a line break stands behind a result unless nothing follows it. QwQ and R1: a prompt opens the reasoning, which
the next one omits. Qwen3.5: the line break behind `<think>` is one token with the next where there were no thoughts."""


def run() -> list[list[dict[str, Any]]]:
    """The messages of each request of a run."""

    def called(content: str, *ids: str) -> dict[str, Any]:
        function = {"name": "get_weather", "arguments": json.dumps({"city": "Oslo"})}
        calls = [{"id": each, "type": "function", "function": function} for each in ids]
        return {"role": "assistant", "content": content, "tool_calls": calls}

    def result(call: str, text: str) -> dict[str, Any]:
        return {"role": "tool", "tool_call_id": call, "name": "get_weather", "content": text}

    first = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather in Oslo, twice?"}]
    second = [*first, called("", "call00001"), result("call00001", "9 °C\n")]
    third = [*second, called("", "call00002", "call00003"), result("call00002", "9"), result("call00003", "{}")]
    fourth = [*third, called("", "call00004"), result("call00004", "")]
    return [first, second, third, fourth, [*fourth, {"role": "assistant", "content": "9 degrees."}]]


@pytest.mark.parametrize(("maker", "family"), BOTH)
def test_the_prompts_of_a_run_begin_with_the_tokens_of_those_before(maker: str, family: str) -> None:
    maker_of_prompts = PromptMaker(family_named(family))
    made = [tokenizer(maker).encode(maker_of_prompts.prompt(messages, [WEATHER]).text) for messages in run()]
    lost = 0
    for before, after in pairwise(made):
        shared = next((at for at, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), None)
        lost = max(lost, len(before) - (len(before) if shared is None else shared))
    assert lost == LOST.get(family, 0)


# ---- what ends and begins a reply


@pytest.mark.parametrize(("maker", "family"), BOTH)
def test_a_stop_string_is_one_token(maker: str, family: str) -> None:
    kind = tokenizer(maker)
    for end in family_named(family).ends:
        assert kind.encode(end) == [kind.added[end]]


@pytest.mark.parametrize(("maker", "family"), BOTH)
def test_a_forced_beginning_has_the_tokens_of_the_call_that_the_model_has_learnt(maker: str, family: str) -> None:
    kind, found = tokenizer(maker), family_named(family)
    assert found.forced is not None
    first, second, *_ = run()
    called = PromptMaker(found).prompt(second[: len(first) + 1], [WEATHER]).text  # the call as the template writes it
    asked = called[: called.rindex(found.forced[0].format())]
    for beginning in (found.forced[0].format(), found.forced[1].format(name="get_weather")):
        ids = kind.encode(asked + beginning)
        if beginning.endswith(("=", ">")):  # one token with what follows, a name that must be whole or chosen freely
            ids.pop()
        assert ids == kind.encode(called)[: len(ids)]
