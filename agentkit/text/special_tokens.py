"""Neutralises special tokens in untrusted text: they stay readable, but no tokenizer encodes them as one token.

A prompt is one string, whether agentkit or the server renders it from the messages, and a tokenizer turns `<|im_end|>`
into a special token wherever it occurs: in a web page it would end the turn and let the page continue in another role.
One space after the first character (`< |im_end|>`) prevents that. Nothing is removed, so that the remaining text can't
join to form a token.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from agentkit._lazy.patterns import pattern
from agentkit.message import REASONING_FIELDS, RESPONSE_ITEMS, inside_response, is_plain_call, map_response
from agentkit.text.computed_once import ComputedOnce

if TYPE_CHECKING:
    from agentkit.text.call_format import Format

_TOKENS = (
    *("<mask>", "[CLS]", "[SEP]", "[@BOS@]"),
    *("<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<end_of_utterance>", "<fake_token_around_image>"),
    "<image_placeholder>",
    *("<longcat_user>", "<longcat_assistant>", "<longcat_system>", "<longcat_think>", "</longcat_think>"),
    *("<file_sep>", "<repo_name>", "<issue_start>", "<jupyter_start>", "<empty_output>"),
    *("<tts_pad>", "<tts_text_bos>", "<tts_text_eod>", "<tts_text_bos_single>"),  # Qwen3.5
)
_CALLS = ("<longcat_tool_call>", "</longcat_tool_call>")
"""Tokens of models whose family has no file; those in _CALLS stay in a model's own text."""

_GEMMA = r"(?:turn|tool|tool_call|tool_response|channel|think|image|audio|video)"
_SPARED = r"\|?/?(?:tool|channel|message|constrain|call\|)"
"""Markup of calls and reasoning in these forms."""

_BARRED = (
    *(r"/?\|[^<>|\s][^<>|\n]{0,60}\|/?>", r"/?｜[^<>｜\n]{1,60}｜/?>", r"\|[\"']\|>"),
    *(rf"\|/?{_GEMMA}>", rf"/?{_GEMMA}\|>"),  # Gemma 4
    r"(?:extra_id_|SPECIAL_|unused|reserved_)\d{1,6}>",
)
"""Patterns after the "<" of `<|name|>` and `<｜name｜>`, the form of most special tokens, and of numbered names."""

_OTHER = {
    "[": (r"\|[^\[\]|\s]{1,40}\|\]",),  # EXAONE
    "]": (r"<\][^\[\]<>\n]{1,40}\[>\[",),  # MiniMax
}
_OTHER_TURNS = {**_OTHER, "]": (r"<\](?!minimax\[)[^\[\]<>\n]{1,40}\[>\[",)}
"""The same without what MiniMax M3 writes before each tag of a call."""


def neutralised(text: str, more: Iterable[str] = ()) -> str:
    """Returns untrusted text with the special tokens of all families and the tags of tool calls neutralised.

    more: special tokens of a custom template.
    """
    if not more and _is_plain(text):
        return text
    return _everything(tuple(more)).sub(_with_space, text)


def without_turns(text: str, more: Iterable[str] = ()) -> str:
    """The same for text of the programmer or the model: only tokens that begin or end a turn are neutralised; the tags
    of tool calls and reasoning stay."""
    if not more and _is_plain(text):
        return text
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
    if not more and _is_plain_message(message, is_wrapped):
        return message
    change = neutraliser(message.get("role"), more)
    made = {key: neutralised_values(message[key], change) for key in _TEXT_FIELDS if message.get(key)}
    content = message.get("content")
    if isinstance(content, list):
        made["content"] = _neutral_parts(content, change)
    elif isinstance(content, str):
        is_result = is_wrapped and message.get("role") == "tool"
        made["content"] = map_response(content, change) if is_result else change(content)
    if isinstance(call_id := message.get("tool_call_id"), str):
        made["tool_call_id"] = without_turns(call_id, more)  # as that of its call
    if message.get("tool_calls"):
        made["tool_calls"] = [_neutral_call(call, more) for call in message["tool_calls"]]
    return {**message, **made} if any(message[key] != value for key, value in made.items()) else message


_TEXT_FIELDS = ("name", *REASONING_FIELDS, RESPONSE_ITEMS)


def _is_plain_message(message: Mapping[str, Any], is_wrapped: bool) -> bool:
    """Whether a message certainly has no special token: one with texts and plain calls, as nearly all are."""
    texts: list[str] = []
    for key, value in message.items():
        if type(value) is str:
            texts.append(value)
        elif key == "tool_calls" and type(value) is list and all(map(_is_unescaped_call, value)):
            texts += [text for call in value for text in (call["id"], *call["function"].values())]
        elif value is not None:
            return False
    if is_wrapped and message.get("role") == "tool" and type(content := message.get("content")) is str:
        start, end = inside_response(content)
        texts[texts.index(content)] = content[start:end]
    return _is_plain("".join(texts))


def _is_unescaped_call(call: Any) -> bool:
    """Whether a call is plain, with arguments in which no escape stands for a character of a token."""
    return is_plain_call(call) and bool(call["function"]["arguments"]) and "\\u" not in call["function"]["arguments"]


def _neutral_parts(parts: Iterable[Any], change: Callable[[str], str]) -> list[Any]:
    """Returns the parts of a content with their texts neutralised. Texts that follow each other and form a token only
    together become one part."""
    made: list[Any] = []
    for is_text, run in itertools.groupby(parts, lambda part: isinstance(part.get("text"), str)):
        group = [{**part, "text": change(part["text"])} if is_text else part for part in run]
        joined = "".join(part["text"] for part in group) if is_text else ""
        whole = change(joined)
        made += group if whole == joined else [{**group[0], "text": whole}]
    return made


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


def _with_space(found: re.Match[str]) -> str:
    return found.group() + " "


MARKS = pattern(r"[<\[\]◁〈｜]")
"""Characters of which each token of agentkit's own families has one; tests/text/test_special_tokens.py compares."""


_ASCII_MARKS = pattern(r"[<\[\]]")
"""The same for a text of ASCII: it takes a fifth of the time to compile."""

MARKUP = pattern(r"[<>\[\]{}◁〈｜`]")
"""The same of what begins a call or reasoning in a reply, in the formats of agentkit's own families."""
_ASCII_MARKUP = pattern(r"[<>\[\]{}`]")


BEGUN_BY_WORDS = (
    *("Action:\n```json\n", "Action: ```json\n", "Action:```json\n", "functools["),
    *("function result<|role_sep|>", "user<|role_sep|>"),
)
"""Those of the markers in replies that begin with other characters than MARKUP's, of all families."""


def has_no_markup(reply: str) -> bool:
    """Whether a reply certainly has neither calls nor reasoning, which is found out without loading the families."""
    found = _ASCII_MARKUP.search(reply) if reply.isascii() else MARKUP.search(reply)
    return found is None and _are_all_own()


def _is_plain(text: str) -> bool:
    """Whether a text certainly has no special token, which is found out without loading the families."""
    found = _ASCII_MARKS.search(text) if text.isascii() else MARKS.search(text)
    return found is None and _are_all_own()


@ComputedOnce
def _are_all_own() -> bool:
    """Whether no package adds a family, whose tokens may have other characters."""
    from agentkit.plugins.installed import plugins

    return not plugins("agentkit.families")


@ComputedOnce
def _everything(more: tuple[str, ...]) -> re.Pattern[str]:
    turns, calls, names = _of_families()
    tags = rf"(?i:/?(?:{'|'.join(map(re.escape, names))})\s*>)"
    return _insertion_points((*turns, *calls, *more), {"<": (*_BARRED, tags, r"/?invoke\b"), **_OTHER})


@ComputedOnce
def _turns(more: tuple[str, ...]) -> re.Pattern[str]:
    turns, calls, _ = _of_families()
    spared = "|".join((_SPARED, *(re.escape(word[1:]) for word in calls if word[0] == "<")))
    barred = tuple(f"(?!{spared}){each}" for each in _BARRED)
    return _insertion_points((*turns, *more), {"<": barred, **_OTHER_TURNS})


def _of_families() -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Returns the tokens of all models that begin or end a turn, those of calls, and the names of tags. All of them are
    needed for any model: one server may stand in front of several."""
    from agentkit.text.families import families

    turns, calls = dict.fromkeys(_TOKENS), dict.fromkeys(_CALLS)
    names: dict[str, None] = {}
    for family in families():
        ends = (end for end in family.ends if end not in family.markup)
        turns |= dict.fromkeys((*family.special_tokens, *ends, (family.image or "").strip()))
        calls |= dict.fromkeys((*family.markup, *_words_of(family.calls)))
        names |= dict.fromkeys(family.tags)
    return tuple(filter(None, turns)), tuple(filter(None, calls)), tuple(names)


def _words_of(calls: "str | Format") -> tuple[str, ...]:
    from agentkit.text.call_format import Format  # text without markup needs no formats

    return (*calls.marks, *calls.swallowed, *calls.thinks) if isinstance(calls, Format) else ()


def _insertion_points(words: Iterable[str], patterns: Mapping[str, tuple[str, ...]]) -> re.Pattern[str]:
    """Returns a pattern for the first character of each word, and for a character before one of its patterns. It begins
    with the set of all these characters, so that text without any of them is skipped quickly."""
    rests = {character: list(each) for character, each in patterns.items()}
    for word in words:
        rests.setdefault(word[0], []).append(re.escape(word[1:]))
    found = "|".join(rf"(?<={re.escape(character)})(?={'|'.join(each)})" for character, each in rests.items())
    return re.compile(f"[{re.escape(''.join(rests))}](?:{found})")
