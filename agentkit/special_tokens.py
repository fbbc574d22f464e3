"""Special tokens in untrusted text: broken, so that no tokenizer makes one token of them, and still readable.

A prompt for a text server is one string, and a tokenizer makes its special tokens of `<|im_end|>` wherever it stands:
in a web page it would end the turn and let the page go on as somebody else. One space behind the first letter
(`< |im_end|>`) prevents that. Nothing is taken away, so that nothing can grow together to a token.
"""

import functools
import re
from collections.abc import Callable, Iterable
from typing import Any

MARKUP = ("tool_call", "tool_response", "tools", "think", "arg_key", "arg_value", "minimax:tool_call", "seed:tool_call")
"""Tags of tool calls, results and reasoning, in either case and also as closing tags."""

_NAMED = (
    *("[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"),
    *("[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CONTENT]", "[CALL_ID]", "[ARGS]", "[THINK]", "[/THINK]"),
    *("[IMG]", "[IMG_BREAK]", "[IMG_END]", "[gMASK]", "[sMASK]", "[BOS]", "[EOS]", "[UNK]", "[PAD]", "[EOT]"),
    *("<s>", "</s>", "<sop>", "<eop>", "<bos>", "<eos>", "<pad>", "<unk>", "<start_of_turn>", "<end_of_turn>"),
    *("<start_of_image>", "<end_of_image>", "<image_soft_token>", "<image>", "</image>", "<img>", "</img>"),
    *("<IMG_CONTEXT>", "<audio>", "</audio>", "<start_function_call>", "<end_function_call>", "<escape>"),
    *("<function_call>", "</function_call>", "<TOOLCALL>", "</TOOLCALL>"),
    *("<longcat_tool_call>", "</longcat_tool_call>"),
)
_BARRED = r"<(?=/?\|[^<>|\s][^<>|\n]{0,60}\|/?>)|<(?=/?｜[^<>｜\n]{1,60}｜/?>)|<(?=\|[\"']\|>)"
"""`<|name|>` and `<｜name｜>`, the form of most special tokens, whatever their name."""

_MARKUP = "|".join(rf"<(?=/?{re.escape(name)}\s*>)" for name in MARKUP)


def neutralised(text: str, more: Iterable[str] = ()) -> str:
    """Untrusted text with the special tokens of all families, and the tags of tool calls, broken.

    more: the special tokens of a template of the user's own.
    """
    return _broken(_everything(tuple(more)), text, bool(more))


def without_turns(text: str, more: Iterable[str] = ()) -> str:
    """The same for text of the programmer or the model: what ends a turn or opens one is broken, while the tags of
    tool calls and reasoning stay."""
    return _broken(_turns(tuple(more)), text, bool(more))


def neutralised_values(value: Any, change: Callable[[str], str]) -> Any:
    """A JSON value with all its strings, the keys too, changed."""
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


def _broken(pattern: re.Pattern[str], text: str, always: bool) -> str:
    return pattern.sub(_with_space, text) if always or "<" in text or "[" in text else text


def _with_space(found: re.Match[str]) -> str:
    return found.group()[:1] + " " + found.group()[1:]


@functools.cache
def _everything(more: tuple[str, ...]) -> re.Pattern[str]:
    words = "|".join(_first_letter(word) for word in (*_NAMED, *more))
    return re.compile(f"{_BARRED}|{words}|(?i:{_MARKUP})")


@functools.cache
def _turns(more: tuple[str, ...]) -> re.Pattern[str]:
    spared = r"(?!\|?/?(?:tool|python_tag|eom_id|channel|message|constrain|call\|)|｜tool)"
    words = "|".join(_first_letter(word) for word in (*_TURNS, *more))
    barred = _BARRED.replace("<(?=", f"<{spared}(?=")
    return re.compile(f"{barred}|{words}")


_CALLS = ("[CALL_ID]", "[ARGS]", "[THINK]", "[/THINK]")
_TURNS = tuple(word for word in _NAMED if "TOOL" not in word.upper() and word not in _CALLS)


def _first_letter(word: str) -> str:
    """A pattern for the first letter of a word where the rest of it follows."""
    return f"{re.escape(word[0])}(?={re.escape(word[1:])})"
