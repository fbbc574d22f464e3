"""Neutralises special tokens in untrusted text: they stay readable, but no tokenizer encodes them as one token.

A prompt is one string, whether agentkit or the server renders it from the messages, and a tokenizer turns `<|im_end|>`
into a special token wherever it occurs: in a web page it would end the turn and let the page continue in another role.
One space after the first character (`< |im_end|>`) prevents that. Nothing is removed, so that the remaining text can't
join to form a token.
"""

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from agentkit.message import map_response

MARKUP = (
    *("tool_call", "tool_calls", "tool_response", "tools", "think", "arg_key", "arg_value", "minimax:tool_call"),
    *("seed:tool_call", "seed:think", "function_calls", "function_results"),
)
"""Tags of tool calls, results and reasoning; matched case-insensitively and also as closing tags."""

_NAMED = (
    *("[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"),
    *("[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CONTENT]", "[CALL_ID]", "[ARGS]", "[THINK]", "[/THINK]"),
    *("[IMG]", "[IMG_BREAK]", "[IMG_END]", "[gMASK]", "[sMASK]", "[BOS]", "[EOS]", "[UNK]", "[PAD]", "[EOT]"),
    *("<s>", "</s>", "<sop>", "<eop>", "<bos>", "<eos>", "<pad>", "<unk>", "<start_of_turn>", "<end_of_turn>"),
    *("<start_of_image>", "<end_of_image>", "<image_soft_token>", "<image>", "</image>", "<img>", "</img>"),
    *("<IMG_CONTEXT>", "<audio>", "</audio>", "<start_function_call>", "<end_function_call>", "<escape>"),
    *("<function_call>", "</function_call>", "<TOOLCALL>", "</TOOLCALL>"),
    *("<longcat_tool_call>", "</longcat_tool_call>", "<seed:bos>", "<seed:eos>", "<seed:pad>", "<<SYS>>", "<</SYS>>"),
    *("[MASK]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[AUDIO]", "[BEGIN_AUDIO]", "[TRANSCRIBE]", "[@BOS@]"),
    *("[MODEL_SETTINGS]", "[/MODEL_SETTINGS]", "<BOS_TOKEN>", "<EOS_TOKEN>", "<PAD_TOKEN>", "<UNK>", "<mask>"),
    *("<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<end_of_utterance>", "<fake_token_around_image>"),
    *("<image_placeholder>", "<dots_function_call>", "</dots_function_call>"),
    *("]~b]", "]~!b[", "[e~[", "<beginning_of_sentence>", "<end_of_sentence>"),  # MiniMax
    *("<longcat_user>", "<longcat_assistant>", "<longcat_system>", "<longcat_think>", "</longcat_think>"),
    *("<start_function_response>", "<end_function_response>", "<start_function_declaration>", "<tool_sep>"),
    *("<end_function_declaration>", "<AVAILABLE_TOOLS>", "</AVAILABLE_TOOLS>", "◁think▷", "◁/think▷"),
    *("<file_sep>", "<repo_name>", "<issue_start>", "<jupyter_start>", "<empty_output>", "<[BOS_never_used]>"),
    *("<seed:cot_budget_reflect>", "[CLS]", "[SEP]"),
)
_GEMMA = r"(?:turn|tool|tool_call|tool_response|channel|think|image|audio|video)"
_SPARED = r"(?!\|?/?(?:tool|python_tag|eom_id|channel|message|constrain|call\|)|｜tool)"
_BARRED = (
    *(r"/?\|[^<>|\s][^<>|\n]{0,60}\|/?>", r"/?｜[^<>｜\n]{1,60}｜/?>", r"\|[\"']\|>"),
    *(rf"\|/?{_GEMMA}>", rf"/?{_GEMMA}\|>"),  # Gemma 4
    r"(?:extra_id_|SPECIAL_|unused|reserved_)\d{1,6}>",
)
"""Patterns after the "<" of `<|name|>` and `<｜name｜>`, the form of most special tokens, and of numbered names."""

_OTHER = {
    "｜": (r"DSML｜",),  # DeepSeek
    "[": (r"\|[^\[\]|\s]{1,40}\|\]",),  # EXAONE
    "]": (r"<\][^\[\]<>\n]{1,40}\[>\[",),  # MiniMax
}
_MARKUP = (rf"(?i:/?(?:{'|'.join(map(re.escape, MARKUP))})\s*>)", r"(?:function|parameter)=", r"/?invoke\b")


def neutralised(text: str, more: Iterable[str] = ()) -> str:
    """Returns untrusted text with the special tokens of all families and the tags of tool calls neutralised.

    more: special tokens of a custom template.
    """
    return _everything(tuple(more)).sub(_with_space, text)


def without_turns(text: str, more: Iterable[str] = ()) -> str:
    """The same for text of the programmer or the model: only tokens that begin or end a turn are neutralised; the tags
    of tool calls and reasoning stay."""
    return _turns(tuple(more)).sub(_with_space, text)


def neutraliser(role: object, more: Iterable[str] = ()) -> Callable[[str], str]:
    """Returns the function that neutralises the texts of a role: the programmer's and the model's are trusted more."""
    return partial(without_turns if role in _TRUSTED else neutralised, more=tuple(more))


_TRUSTED = ("assistant", "system", "developer")


def neutralised_values(value: Any, change: Callable[[str], str]) -> Any:
    """Returns a JSON value with `change` applied to all strings, including keys."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {
            change(key) if isinstance(key, str) else key: neutralised_values(each, change)
            for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [neutralised_values(each, change) for each in value]
    return value


def neutral_message(
    message: Mapping[str, Any], more: Iterable[str] = (), *, is_wrapped: bool = True
) -> Mapping[str, Any]:
    """Returns a chat message with its texts, its calls and their arguments neutralised; the same object when nothing
    changes. is_wrapped: whether the `<tool_response>` around a tool's result was added by agentkit, and stays."""
    change = neutraliser(message.get("role"), more)
    made = {key: neutralised_values(message[key], change) for key in _TEXT_FIELDS if message.get(key)}
    content = message.get("content")
    if isinstance(content, list):
        made["content"] = [_neutral_part(part, change) for part in content]
    elif isinstance(content, str):
        is_result = is_wrapped and message.get("role") == "tool"
        made["content"] = map_response(content, change) if is_result else change(content)
    if message.get("tool_calls"):
        made["tool_calls"] = [_neutral_call(call, more) for call in message["tool_calls"]]
    return {**message, **made} if any(message[key] != value for key, value in made.items()) else message


_TEXT_FIELDS = ("name", "reasoning_content", "reasoning")


def _neutral_part(part: Any, change: Callable[[str], str]) -> Any:
    return {**part, "text": change(part["text"])} if isinstance(part.get("text"), str) else part


def _neutral_call(call: Mapping[str, Any], more: Iterable[str]) -> dict[str, Any]:
    untrusted = partial(neutralised, more=more)
    function = call.get("function") or {}
    made = {**function, "name": untrusted(str(function.get("name") or ""))}
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        made["arguments"] = neutral_json(arguments, untrusted)
    else:
        made["arguments"] = json.dumps(neutralised_values(arguments, untrusted), ensure_ascii=False)
    return {**call, "id": without_turns(str(call.get("id") or ""), more), "function": made}


def neutral_json(text: str, change: Callable[[str], str]) -> str:
    """Returns a JSON text with `change` applied to its strings; the text itself when nothing changes."""
    if change(text) == text and "\\u" not in text:
        return text
    try:
        value = json.loads(text)
        neutral = neutralised_values(value, change)
    except (ValueError, RecursionError):
        return change(text)
    return text if neutral == value else json.dumps(neutral, ensure_ascii=False)


_TURNS = tuple(
    word for word in _NAMED if "TOOL" not in word.upper() and word not in ("[CALL_ID]", "[ARGS]", "[THINK]", "[/THINK]")
)


def _with_space(found: re.Match[str]) -> str:
    return found.group() + " "


@functools.cache
def _everything(more: tuple[str, ...]) -> re.Pattern[str]:
    return _insertion_points((*_NAMED, *more), {"<": (*_BARRED, *_MARKUP), **_OTHER})


@functools.cache
def _turns(more: tuple[str, ...]) -> re.Pattern[str]:
    barred = tuple(f"{_SPARED}{each}" for each in _BARRED)
    return _insertion_points((*_TURNS, *more), {"<": barred, **_OTHER})


def _insertion_points(words: Iterable[str], patterns: Mapping[str, tuple[str, ...]]) -> re.Pattern[str]:
    """Returns a pattern for the first character of each word, and for a character before one of its patterns. It begins
    with the set of all these characters, so that text without any of them is skipped quickly."""
    rests = {character: list(each) for character, each in patterns.items()}
    for word in words:
        rests.setdefault(word[0], []).append(re.escape(word[1:]))
    found = "|".join(rf"(?<={re.escape(character)})(?={'|'.join(each)})" for character, each in rests.items())
    return re.compile(f"[{re.escape(''.join(rests))}](?:{found})")
