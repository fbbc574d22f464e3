"""Tool calls that a server could not parse, and for which it refuses the whole reply with an error (Groq): what the
model wrote is in the error, and is read here."""

import json
from collections.abc import Mapping
from typing import Any

from agentkit._lazy.patterns import pattern
from agentkit.net.failed_generation import failed_generation

_NAME_AND_ARGUMENTS = pattern(r"[\w.\-]{1,64}+\{")
MAX_CHARS = 200_000
"""Characters of what the model wrote that are read."""


def chunk_of(error: Exception) -> Mapping[str, Any] | None:
    """What the model wrote, as a chunk of a stream that is a whole reply: a call where it is the JSON of one, else a
    text in which calls may be. None for another error, and when there is nothing."""
    written = failed_generation(error)
    if not written or len(written) > MAX_CHARS:
        return None
    if _NAME_AND_ARGUMENTS.match(written) and written.rstrip().endswith("</function>"):
        written = f"<function={written}"  # Groq shows all but the beginning of a call of Llama's
    call = _call_in(written)
    delta = {"tool_calls": [{"index": 0, "function": call}]} if call else {"content": written}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": "tool_calls" if call else "stop"}]}


def _call_in(written: str) -> dict[str, str] | None:
    try:
        read = json.loads(written)
    except (ValueError, RecursionError):
        return None
    if not isinstance(read, dict) or not isinstance(read.get("name"), str):
        return None
    arguments = read.get("arguments", read.get("parameters"))
    if not isinstance(arguments, dict | str):
        return None
    return {"name": read["name"], "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments)}
