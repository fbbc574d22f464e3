"""The fields of messages and projects that are passed on to the model server: whatever is not the bridge's own."""

from collections.abc import Mapping
from typing import Any

from agentkit._text import json_text
from agentkit.backends.chat_protocol import RESERVED
from agentkit.tooling.json_repair import cleaned

NOT_PASSED = frozenset((*RESERVED, "n", "functions", "function_call", "user", "metadata", "store", "service_tier"))
"""Fields of a model request that the bridge sets itself, or that change nothing of an answer."""

MAX_CHARS = 64_000
"""Maximum size of all passed fields of a message together, as JSON."""


def passed_on(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are passed on; null stands for "not given". What JSON can't represent is passed as text. Raises
    ValueError when they are too large, or no JSON."""
    try:
        given = {cleaned(key): cleaned(value) for key, value in fields.items() if value is not None}
        given = {key: value for key, value in given.items() if key not in NOT_PASSED}
        size = len(json_text(given)) if given else 0
    except RecursionError:
        raise ValueError("a field is nested too deeply") from None
    except TypeError as error:
        raise ValueError(str(error)) from None
    if size > MAX_CHARS:
        raise ValueError(f"the fields for the model server have {size:,} characters; the limit is {MAX_CHARS:,}")
    return _thinking_in_both_forms(given)


def _thinking_in_both_forms(given: dict[str, Any]) -> dict[str, Any]:
    """Whether the model thinks, in the form of older servers and in that of newer ones, as `upstream.model_server`
    sends the deployment's setting: else the one that is missing would contradict the other."""
    name, variables = "enable_thinking", given.get("chat_template_kwargs", {})
    if not isinstance(variables, dict) or (name in given) == (name in variables):
        return given
    value = given.get(name, variables.get(name))
    return {**given, name: value, "chat_template_kwargs": {**variables, name: value}}
