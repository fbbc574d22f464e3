"""Token usage as servers report it: whatever its form, it never costs the reply."""

import functools
import json
from collections.abc import Mapping
from typing import Any

from agentkit._lazy.patterns import pattern
from agentkit.limits import Usage
from agentkit.record import amount_of

MAX_TEXT = 10_000
"""Characters of a usage that is a text; a longer one is not read."""

MAX_NAME = 100
"""Characters of the name of a field; what is behind them is not read."""
_LARGE = 1 << 60

_INPUT = ("prompt_tokens", "input_tokens", "prompt_token_count", "input_token_count", "prompt_eval_count")
_OUTPUT = ("completion_tokens", "output_tokens", "candidates_token_count", "output_token_count", "eval_count")
_DETAILS_IN = ("prompt_tokens_details", "input_tokens_details", "prompt_token_details", "input_token_details")
_DETAILS_OUT = ("completion_tokens_details", "output_tokens_details", "output_token_details")
_CACHED = ("cached_tokens", "cache_read", "cache_read_tokens", "cached_content_token_count")
_CACHED_BESIDE = ("prompt_cache_hit_tokens", "num_cached_tokens", "cache_read_input_tokens")
_REASONING = ("reasoning_tokens", "reasoning", "thoughts_token_count", "thinking_tokens")
_COST = ("total_cost", "total", "amount", "value", "usd", "cost")
_HUMP = pattern(r"(?<=[a-z0-9])([A-Z])")


def usage_in(chunk: Mapping[str, Any]) -> dict[str, Any]:
    """The usage in a chunk of a stream or in a whole response, as an object; {} where there is none.

    It is in `usage`; also in `x_groq.usage`, in the choice (Moonshot), or in `usageMetadata` (Gemini).
    """
    usage = chunk.get("usage") or chunk.get("usageMetadata") or chunk.get("usage_metadata")
    if not usage:
        usage = _inner(chunk.get("x_groq"))
    if not usage and isinstance(choices := chunk.get("choices"), list) and choices:
        usage = _inner(choices[0])
    return _as_object(usage) if usage else {}


def usage_of(usage: Mapping[str, Any]) -> Usage:
    """Convert the usage of one reply; a count that is absent or can't be read is 0, such a cost None."""
    if not usage:
        return Usage(requests=1)
    named = {_plain_name(str(name)[:MAX_NAME]): value for name, value in usage.items()}
    cached = _detail(named, _DETAILS_IN, _CACHED) or _first(named, (*_CACHED_BESIDE, *_CACHED))
    total = _first(named, _INPUT)
    if "cache_read_input_tokens" in named:  # Anthropic counts it beside the others, and so do some gateways to it
        read = _first(named, ("cache_read_input_tokens",))
        if "prompt_tokens" not in named or read > total:
            total += read + _first(named, ("cache_creation_input_tokens",))
    return Usage(
        requests=1,
        input_tokens=total,
        cached_tokens=min(cached, total),
        output_tokens=_first(named, _OUTPUT),
        reasoning_tokens=_detail(named, _DETAILS_OUT, _REASONING) or _first(named, _REASONING),
        cost=_cost_of(named.get("cost")),
    )


@functools.lru_cache(1000)
def _plain_name(name: str) -> str:
    return name if name.isascii() and name.islower() else _HUMP.sub(r"_\1", name).lower()


def count_of(value: Any) -> int:
    """A number of tokens from JSON that a server has written, also as text; 0 for anything else."""
    if type(value) is int and 0 <= value < _LARGE:  # nearly always
        return value
    if isinstance(value, str):
        text = value.strip().replace(",", "")
        try:
            value = float(text) if len(text) < 40 else None
        except ValueError:
            return 0
    return int(amount_of(value) or 0)


def _cost_of(value: Any) -> float | None:
    """A cost; a text is none, since it may be in any currency."""
    if value is None:
        return None
    if isinstance(value, Mapping):  # Perplexity has its parts and their sum
        return next((cost for name in _COST if (cost := amount_of(value.get(name))) is not None), None)
    return amount_of(value)


def _inner(value: Any) -> Any:
    return value.get("usage") if isinstance(value, Mapping) else None


def _as_object(usage: Any) -> dict[str, Any]:
    """A usage as an object: a list is its objects one after another, a text is read as JSON."""
    if isinstance(usage, str) and len(usage) <= MAX_TEXT:
        try:
            usage = json.loads(usage)
        except (ValueError, RecursionError):
            return {}
    if isinstance(usage, list):
        usage = {name: value for each in usage if isinstance(each, Mapping) for name, value in each.items()}
    return dict(usage) if type(usage) is dict or isinstance(usage, Mapping) else {}


def _first(usage: Mapping[str, Any], names: tuple[str, ...]) -> int:
    for name in names:
        if name in usage and (count := count_of(usage[name])):
            return count
    return 0


def _detail(usage: Mapping[str, Any], fields: tuple[str, ...], names: tuple[str, ...]) -> int:
    """A count among the details of a usage, which are an object, or a list of such."""
    total = 0
    for field in fields:
        if field in usage and (details := usage[field]):
            parts = details if isinstance(details, list) else (details,)
            total += sum(_first(each, names) for each in parts if isinstance(each, Mapping))
    return total
