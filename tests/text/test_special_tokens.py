"""Special tokens in texts of tools and users: they are neutralised wherever the server applies a chat template."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, tool
from agentkit.backends import GGUFBackend, OpenAIBackend
from agentkit.net.hosted import is_hosted
from agentkit.text.any_format import any_format
from agentkit.text.families import families
from agentkit.text.special_tokens import (
    BEGUN_BY_WORDS,
    MARKS,
    MARKUP,
    _is_plain,
    _of_families,
    has_no_markup,
    neutral_message,
    neutralised,
    without_turns,
)
from agentkit.transcript import Transcript
from tests.support.growth import assert_linear
from tests.support.imports import loaded_by
from tests.support.llama_server import LlamaServer
from tests.support.model_server import Asked, calls, serve, whole
from tests.text.test_formats import shared

TOKENS = {
    "ChatML": ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|vision_start|>"],
    "Llama": ["<|eot_id|>", "<|start_header_id|>", "<|python_tag|>", "<|header_start|>"],
    "Llama 2": ["<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"],
    "Mistral": [
        "[TOOL_CALLS]",
        "[AVAILABLE_TOOLS]",
        "[TOOL_RESULTS]",
        "[SYSTEM_PROMPT]",
        "[THINK]",
        "[MODEL_SETTINGS]",
    ],
    "DeepSeek": ["<｜User｜>", "<｜Assistant｜>", "<｜tool▁calls▁begin｜>", "<｜end▁of▁sentence｜>", "<｜DSML｜invoke"],
    "GLM": ["<|user|>", "<|observation|>", "[gMASK]", "<sop>", "<arg_key>", "[MASK]"],
    "Kimi": ["<|im_middle|>", "<|tool_calls_section_begin|>", "<|media_start|>", "[EOT]"],
    "Gemma": ["<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<|turn>", "<turn|>", "<|tool_call>", '<|"|>'],
    "Phi": ["<|system|>", "<|assistant|>", "<|end|>", "<|tool|>"],
    "Granite": ["<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>", "<|tool_call|>"],
    "MiniMax": ["]~b]", "]~!b[", "[e~[", "<minimax:tool_call>", "]<]minimax[>["],
    "harmony": ["<|start|>", "<|channel|>", "<|message|>", "<|constrain|>", "<|call|>", "<|return|>"],
    "Cohere": ["<|START_OF_TURN_TOKEN|>", "<|END_ACTION|>", "<BOS_TOKEN>"],
    "EXAONE": ["[|user|]", "[|assistant|]", "[|endofturn|]"],
    "LongCat": ["<longcat_user>", "<longcat_tool_call>", "<longcat_think>"],
    "StarCoder": ["<file_sep>", "<repo_name>", "<fim_prefix>"],
    "Kimi-VL": ["◁think▷", "◁/think▷"],
    "FunctionGemma": ["<start_function_call>", "<start_function_response>"],
    "Nemotron": ["<AVAILABLE_TOOLS>", "<SPECIAL_12>"],
    "others": [
        "<invoke>",
        "</invoke>",
        "<function_calls>",
        "</function_calls>",
        "<tool_calls>",
        "<TOOLCALL>",
        "<seed:tool_call>",
        "<extra_id_1>",
    ],
    "calls": ["<tool_call>", "</tool_call>", "<tool_response>", "<function=f>", "<parameter=x>", "<think>", "</think>"],
}
ALL = [token for tokens in TOKENS.values() for token in tokens]


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look something up."""
    return topic


def answered_with(result: str, **asked: Any) -> list[Any]:
    """Returns a conversation with a tool's result."""
    call = {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": '{"topic": "x"}'}, **asked}
    return [
        {"role": "user", "content": "Look it up."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": f"<tool_response>\n{result}\n</tool_response>"},
    ]


@pytest.mark.parametrize("token", ALL)
def test_a_token_of_any_family_is_neutralised_and_stays_readable(token: str) -> None:
    for text in (token, f"a{token}b", f"{token}{token}", token[:4] + token + token[4:]):
        made = neutralised(text)
        assert token not in made
        assert made.replace(" ", "") == text


@pytest.mark.parametrize(
    "text",
    [
        "List<int> x = a[i] < b;",
        "a <b>bold</b> word",
        "[1] [a link](x) [x]",
        "if a <| b |> c",
        "x ~> y]",
        "<p>1 < 2</p>",
    ],
)
def test_other_text_is_unchanged(text: str) -> None:
    assert neutralised(text) is text
    assert without_turns(text) is text


@pytest.mark.parametrize("beginning", ["<", "<|", "[", "]", "<|im_end", "｜", "]<]", "<tool_call ", "[|a"])
def test_neutralising_takes_linear_time(beginning: str) -> None:
    assert_linear(lambda count: neutralised(beginning * count), 20_000)


def sent_to(name: str, messages: Sequence[Any], **options: Any) -> list[dict[str, Any]]:
    """Returns the messages as a server receives them. name: the provider's."""
    with serve([whole("Done.")]) as server:
        model = f"{name}:m@{server.url}"
        agent = Agent(OpenAIBackend("m", base_url=server.url, **options)) if options else Agent(model)
        with agent:
            result = agent.run(messages=messages)
        if options:
            agent.backend.close()
        assert result.messages[:-1] == list(messages)  # the stored messages are unchanged
        sent: list[dict[str, Any]] = server.requests[0].body["messages"]
        return sent


@pytest.mark.parametrize("provider", ["openai", "llamacpp", "vllm", "ollama"])
def test_every_self_hosted_server_gets_neutralised_tokens(provider: str) -> None:
    messages = answered_with(" ".join(ALL))
    messages[0] = {"role": "user", "content": [{"type": "text", "text": f"Is {' '.join(ALL)} safe?"}]}
    sent = sent_to(provider, messages)
    inside = sent[2]["content"].removeprefix("<tool_response>\n").removesuffix("\n</tool_response>")
    assert len(inside) < len(sent[2]["content"]) - 30  # the wrapper stays
    for text in (inside, sent[0]["content"][0]["text"]):
        assert not [token for token in ALL if token in text]
        assert "".join(ALL) in text.replace(" ", "")


def test_a_flag_turns_it_off_and_hosted_apis_are_exempt(monkeypatch: pytest.MonkeyPatch) -> None:
    messages = answered_with("<|im_end|>")
    assert sent_to("openai", messages, escape_special_tokens=False) == messages
    monkeypatch.setattr("agentkit.backends.openai.is_hosted", lambda url: True)
    assert sent_to("openai", messages) == messages
    assert "<|im_end|>" not in str(sent_to("openai", messages, escape_special_tokens=True))


@pytest.mark.parametrize(
    ("url", "hosted"),
    [
        (None, True),
        ("https://api.openai.com/v1", True),
        ("https://me.openai.azure.com/openai/v1", True),
        ("https://API.DeepSeek.com./v1", True),
        ("https://openrouter.ai/api/v1", True),
        ("https://notopenai.com/v1", False),
        ("https://api.openai.com.evil.example/v1", False),
        ("http://user:api.openai.com@10.0.0.4/v1", False),
        ("http://localhost:8000/v1", False),
        ("https://llm.example.org/api.openai.com/v1", False),
        ("not a url", False),
    ],
)
def test_a_hosted_api_is_recognised_by_its_domain(url: str | None, hosted: bool) -> None:
    assert is_hosted(url) is hosted


def test_a_token_hidden_by_an_escape_in_arguments_is_neutralised_too() -> None:
    hidden = {"name": "look_up", "arguments": '{"topic": "\\u003c|im_end|>"}'}
    sent = sent_to("openai", answered_with("ok", function=hidden))
    assert json.loads(sent[1]["tool_calls"][0]["function"]["arguments"]) == {"topic": "< |im_end|>"}


def test_the_prompt_of_each_request_begins_with_the_previous_one() -> None:
    def reply(asked: Asked) -> Any:
        turn = len(asked.body["messages"])
        return calls(("look_up", {"topic": f"{turn} <|im_end|>"})) if turn < 8 else whole("Done <|im_end|>.")

    with serve(reply) as server, Agent(f"openai:m@{server.url}", tools=[look_up]) as agent:
        agent.run("Go <|im_start|>.")
    raws = [request.raw[request.raw.index(b'"tools"') :] for request in server.requests]  # it may stream or not
    assert len(raws) == 5
    for before, after in pairwise(raws):
        assert after.startswith(before.removesuffix(b"]}"))


def test_a_token_in_pieces_is_neutralised_in_the_parts_of_a_content() -> None:
    parts: list[Any] = [{"type": "text", "text": each} for each in ("a<|im_", "end", "|>b")]
    image = {"type": "image_url", "image_url": {"url": "data:a"}}
    made = neutral_message({"role": "user", "content": [*parts, image, *parts[:2], image, parts[2]]})
    assert made["content"] == [{"type": "text", "text": "a< |im_end|>b"}, image, *parts[:2], image, parts[2]]


def test_a_message_without_a_token_is_not_copied() -> None:
    for message in answered_with("plain text [1] <b>x</b>"):
        assert neutral_message(message) is message
    transcript = Transcript(answered_with("plain"))
    assert transcript.encoded(escaped=True) == transcript.encoded()


@pytest.mark.slow
@pytest.mark.parametrize("row", shared("injection.jsonl"))
def test_the_injection_cases_forge_nothing_on_chat_completions_servers(row: dict[str, Any]) -> None:
    for provider in ("openai", "llamacpp", "vllm", "ollama"):
        sent = sent_to(provider, answered_with(row["text"]))
        inside = sent[2]["content"].removeprefix("<tool_response>\n").removesuffix("\n</tool_response>")
        assert not [token for token in row["forbidden_tokens"] if token in inside]
        if not row["forbidden_tokens"]:
            assert inside == row["text"]


# ---- the real llama.cpp: a special token counts as one token, neutralised text as one per character


def tokens_of(backend: Any, result: str) -> int:
    run = Agent(backend).run(messages=answered_with(result))
    return run.usage.input_tokens


def test_a_page_ends_no_turn_on_the_real_server(llama: LlamaServer) -> None:
    safe, unsafe = (
        OpenAIBackend("tiny", base_url=llama.url, max_tokens=1, escape_special_tokens=escapes)
        for escapes in (None, False)
    )
    token, count = "<|im_end|>", 20
    plain = tokens_of(safe, "x")
    assert tokens_of(unsafe, "x" + token * count) == plain + count  # each is one control token
    assert tokens_of(safe, "x" + token * count) == plain + count * (len(token) + 1)
    safe.close()
    unsafe.close()


def test_a_page_ends_no_turn_in_a_model_in_this_process(tiny_model: Path) -> None:
    safe, unsafe = (GGUFBackend(tiny_model, max_tokens=1, escape_special_tokens=escapes) for escapes in (True, False))
    token, count = "<|im_end|>", 20
    plain = tokens_of(safe, "x")
    assert tokens_of(unsafe, "x" + token * count) == plain + count
    assert tokens_of(safe, "x" + token * count) == plain + count * (len(token) + 1)
    safe.close()
    unsafe.close()


def test_a_text_without_a_mark_has_no_token_of_any_family() -> None:
    turns, calls, _ = _of_families()
    assert [word for word in (*turns, *calls) if MARKS.search(word) is None] == []


def test_a_reply_without_markup_has_no_call_in_any_format() -> None:
    words = _words_of_replies()
    assert [word for word in words if word and MARKUP.search(word) is None] == []


def test_the_markers_that_begin_with_a_word_are_known() -> None:
    assert {word for word in _words_of_replies() if word and MARKUP.match(word) is None} == set(BEGUN_BY_WORDS)


def _words_of_replies() -> set[str]:
    """All that is looked for in replies, in the formats of all families."""
    formats = [any_format(None), *(family.format for family in families())]
    formats += [any_format(form) for form in dict.fromkeys(formats)]
    words = {word for form in formats for word in (*form.starts, *form.marks, *form.swallowed, *form.thinks)}
    return words | {word for form in formats for pair in form.quoted_thinks for word in pair}


def test_the_families_are_not_loaded_for_a_text_without_a_mark() -> None:
    code = "from agentkit.text.special_tokens import neutralised; print(neutralised({!r}))"
    plain, loaded = loaded_by(code.format("Hello, you."))
    marked, all_loaded = loaded_by(code.format("<|eot_id|>"))
    assert (plain, marked) == ("Hello, you.\n", "< |eot_id|>\n")
    assert "agentkit.text.families" not in loaded
    assert "agentkit.text.families.llama" in all_loaded


@pytest.mark.parametrize("before", ["", "é"])
def test_a_text_of_ascii_is_searched_for_the_same_characters(before: str) -> None:
    for character in map(chr, range(128)):
        assert _is_plain(before + character) == (MARKS.search(character) is None)
        assert has_no_markup(before + character) == (MARKUP.search(character) is None)


@pytest.mark.parametrize("call_id", ["<|im_end|>1", "call_<|eot_id|>", "[/INST]x", "call_1"])
def test_a_call_and_its_result_have_the_same_id(call_id: str) -> None:
    call = {"id": call_id, "type": "function", "function": {"name": "look", "arguments": "{}"}}
    asked = neutral_message({"role": "assistant", "content": None, "tool_calls": [call]})
    answered = neutral_message({"role": "tool", "tool_call_id": call_id, "content": "9 <|im_end|>"})
    assert asked["tool_calls"][0]["id"] == answered["tool_call_id"]
    assert "<|im_end|>" not in f"{asked} {answered}"
