"""Fields of a request that a model refuses as such, and what is sent in their place: reasoning models take no
temperature, some know the limit of a reply by its other name alone, many can't be forced to call a tool, and some call
tools only if they don't reason.

No field is left out that the server does not name, and none that says what the answer is to be.
"""

from collections.abc import Collection, Mapping
from typing import Any

from agentkit._lazy.patterns import pattern

OTHER_NAMES = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""The two names of the limit of a reply."""
EFFORT = "reasoning_effort"
LEFT_OUT = (
    *("top_p", "temperature", "presence_penalty", "frequency_penalty", "parallel_tool_calls", EFFORT, "verbosity"),
    *("seed", "service_tier", "prompt_cache_key", "top_k", "min_p", "repetition_penalty"),
)
"""Fields without which a model answers too, in the order in which they are left out."""
TOOL_CHOICE = "tool_choice"
FIELDS = (*OTHER_NAMES, *LEFT_OUT, TOOL_CHOICE)

_REFUSES = (
    r"(?:unsupported|not (?:currently )?supported|unknown|unrecogni[sz]ed|unexpected|deprecated|not permitted|"
    r"not allowed|(?:does|do)(?: not|n't) support|only the default|only (?:[a-z_]{1,20}=)?[\d.]{1,8} is (?:allowed|"
    r"supported)|cannot both|extra (?:inputs|fields))"
)
_NAMED = {
    name: pattern(
        rf"(?<![\w-]){said}(?![\w-])[^|]{{0,60}}?{_REFUSES}|{_REFUSES}[^|]{{0,60}}?(?<![\w-]){said}(?![\w-])|"
        rf"\| {said} \| extra (?:inputs|fields)"
    )
    for name, said in ((each, each.replace("_", "[_.]?")) for each in (*OTHER_NAMES, *LEFT_OUT))
}
"""A name may have a point, as in the Responses API ('reasoning.effort'). The last form is that of pydantic's
validation: the place of the field, and what is wrong with it."""
_NO_TOOLS_WITH_EFFORT = pattern(
    r"(?:tools?|functions?)\b[^|]{0,20}\bwith reasoning_?effort\b[^|]{0,20}not (?:currently )?supported|"
    r"use (?:function )?tools?\b[^|]{0,60}reasoning_?effort\W{1,3}(?:to|as) \W?none\b"
)
_NO_CHOICE = pattern(
    rf"tool[ _]choice\b.{{0,160}}?(?:{_REFUSES}|incompatible|thinking|reasoning|must be .{{0,12}}auto|"
    rf"only .{{0,20}}auto)|(?:{_REFUSES}|thinking|reasoning).{{0,160}}?tool[ _]choice\b"
)
_LEAST = pattern(r"max_(?:output_|completion_)?tokens\b[^|]{0,80}?>= ?(\d{1,4})\b")
_OF_A_PARSER = pattern(r"tool-call-parser|enable-auto-tool-choice|--jinja")


def refused_field(words: str, fields: Mapping[str, Any]) -> str | None:
    """The field of a request that a server's words (`agentkit.net.error_words`) refuse; None for none of these."""
    for name, other in OTHER_NAMES.items():
        if name in fields and (f"use '{other}'" in _quoted(words) or _is_refused(name, words)):
            return name
    for name in LEFT_OUT:
        if name in fields and _is_refused(name, words):
            return name
    is_forced = is_forcing(fields.get(TOOL_CHOICE))
    return TOOL_CHOICE if is_forced and _NO_CHOICE.search(words) and not _OF_A_PARSER.search(words) else None


def wants_no_effort(words: str) -> bool:
    """Whether a server takes tools only with the reasoning_effort "none": without the field, a default counts that it
    refuses as well (OpenAI's models since GPT-5.4)."""
    return _NO_TOOLS_WITH_EFFORT.search(words) is not None


def least_limit(words: str, fields: Mapping[str, Any]) -> int | None:
    """The least limit of a reply that a server takes, for a refusal of a lower one: OpenAI's newer models, also behind
    gateways, write no fewer than 16 tokens. None for any other."""
    found = _LEAST.search(words)
    given = [fields[name] for name in OTHER_NAMES if name in fields]
    if found is None or not any(type(limit) is int and 0 < limit < int(found[1]) for limit in given):
        return None
    return int(found[1])


def with_least(fields: Mapping[str, Any], least: int | None) -> dict[str, Any]:
    """The fields with a limit of the reply that is no lower than the least."""
    low = [name for name in OTHER_NAMES if type(fields.get(name)) is int and 0 < fields[name] < (least or 0)]
    return {**fields, **dict.fromkeys(low, least)}


def changed(fields: Mapping[str, Any], refused: Collection[str]) -> dict[str, Any]:
    """The fields without those that are refused."""
    made = dict(fields)
    for name in refused:
        if name not in made:
            continue
        value = made.pop(name)
        if name in OTHER_NAMES:
            made.setdefault(OTHER_NAMES[name], value)
        elif name == TOOL_CHOICE:
            made[name] = "auto" if is_forcing(value) else value
    return made


def told(name: str) -> str:
    """What is done about a refused field, as the log says it of a server."""
    if name in OTHER_NAMES:
        return f"takes no {name}: the limit is sent as {OTHER_NAMES[name]}"
    if name == TOOL_CHOICE:
        return 'can\'t be forced to call a tool: tool_choice is "auto"'
    return f"takes no {name} (or not this one), which is left out"


def is_forcing(choice: Any) -> bool:
    """Whether a tool_choice leaves the model no choice but to call a tool."""
    return choice not in (None, "auto", "none")


def _is_refused(name: str, words: str) -> bool:
    return _NAMED[name].search(words) is not None


def _quoted(words: str) -> str:
    return words.replace("`", "'").replace('"', "'")
