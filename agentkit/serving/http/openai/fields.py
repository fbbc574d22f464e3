"""What happens to each field of a chat completion request."""

from collections.abc import Mapping
from typing import Any

from agentkit.serving.http.openai.errors import RefusedRequestError

HANDLED = frozenset(
    (
        *("messages", "model", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens"),
        *("tools", "tool_choice", "response_format"),
    )
)
"""Fields that are dealt with here."""

WITHOUT_EFFECT = frozenset(
    (
        *("user", "safety_identifier", "metadata", "store", "service_tier"),
        *("prompt_cache_key", "prompt_cache_retention"),
    )
)
"""Fields about the request that change nothing of its answer: taken, and not passed on."""

NOT_PASSED = HANDLED | WITHOUT_EFFECT

DEFAULTS: Mapping[str, Any] = {
    "logprobs": False,
    "logit_bias": {},
    "parallel_tool_calls": True,
    "modalities": ["text"],
    "functions": [],
    "function_call": "none",
    "verbosity": "medium",
}
"""Values that say what holds anyway: not passed on, since some servers refuse the fields whatever their values."""

WITHOUT_A_MODEL = frozenset(
    (
        *("temperature", "top_p", "top_k", "min_p", "typical_p", "presence_penalty", "frequency_penalty"),
        *("repetition_penalty", "repeat_penalty", "max_tokens", "verbosity", "parallel_tool_calls"),
    )
)
"""Fields that clients send of their own accord, and which say nothing where no model writes the answer. With those of
THINKING they are taken by a service without a model; each other field that would be passed on is refused there."""

MAX_ANSWERS = 16
"""How many answers (`n`) one request may ask for."""

REFUSED: Mapping[str, str] = {
    "functions": "is not supported: use tools",
    "function_call": "is not supported: use tool_choice",
    "audio": "is not supported: answers are texts",
    "modalities": "is not supported: answers are texts",
}
"""Fields that can't be met, and why."""


THINKING = frozenset(
    (
        *("reasoning_effort", "reasoning", "reasoning_budget", "thinking", "thinking_budget"),
        *("enable_thinking", "chat_template_kwargs"),
    )
)
"""Fields that say how much the model thinks: where a request has one, the service's own settings of it do not count."""


def sampling_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request that are passed on to the model: all others, known or not. None in them means that the
    field is omitted, whatever the service's setting. given: the fields that are not null.

    Raises RefusedRequestError that names a field which can't be met.
    """
    given = {name: value for name, value in given.items() if name not in DEFAULTS or value != DEFAULTS[name]}
    for name, why in REFUSED.items():
        if name in given:
            raise RefusedRequestError(400, f"{name}: {why}", name, "unsupported_parameter")
    passed = {name: value for name, value in given.items() if name not in NOT_PASSED}
    if passed.keys() & THINKING:
        passed = {"enable_thinking": None, "chat_template_kwargs": None, **passed}
    limit = given.get("max_completion_tokens", given.get("max_tokens"))
    if limit is not None:
        passed["max_tokens"] = None if limit == -1 else limit  # -1: no limit, as llama.cpp's clients write it
    return passed


def needing_a_model(passed: Mapping[str, Any]) -> str | None:
    """The first field that changes what a model answers, and which can't be met where there is none. passed: the fields
    that would be passed on."""
    for name, value in passed.items():
        is_free = name == "tool_choice" and value in ("none", "auto")
        if value is not None and not is_free and name not in WITHOUT_A_MODEL and name not in THINKING:
            return name
    return None
