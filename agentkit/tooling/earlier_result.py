"""The tool by which a model reads on in a long result, or reads one again that is left out of a long history."""

import functools

from agentkit.message import response_of
from agentkit.tools import Context, Tool

EARLIER_RESULT = "earlier_result"

PAGE_CHARS = 4000
"""Characters that one call returns, unless it asks for more."""
MAX_PAGE_CHARS = 50_000


def reading_on(number: int, start: int) -> str:
    """What the model is told at the end of a result that is cut."""
    return f"\n(Call {EARLIER_RESULT} with number {number} and start {start} to read on.)"


def _earlier_result(number: int, context: Context, start: int = 0, length: int = PAGE_CHARS) -> str:
    messages, index = context.messages, number + context.offset
    if not 0 <= index < len(messages) or messages[index]["role"] != "tool":
        return f"no earlier result has the number {number}"
    kept = context.long_results.get(number)
    text = response_of(messages[index]) if kept is None else kept
    start, length = max(0, start), min(max(1, length), MAX_PAGE_CHARS)
    if start >= len(text) > 0:
        return f"this result has no more than {len(text):,} characters here; to see more, call its tool again"
    rest = len(text) - start - length
    more = f"\n({rest:,} more characters: start={start + length})" if rest > 0 else ""
    return text[start : start + length] + more


@functools.cache
def earlier_result_tool() -> Tool[..., str]:
    """The tool that returns the result of an earlier call, in parts."""
    number = {"type": "integer", "description": "The number given with the result."}
    start = {"type": "integer", "description": "The character to start at, counted from 0.", "default": 0}
    length = {
        "type": "integer",
        "description": f"How many characters to read, at most {MAX_PAGE_CHARS}.",
        "default": PAGE_CHARS,
    }
    properties = {"number": number, "start": start, "length": length}
    schema = {"type": "object", "properties": properties, "required": ["number"]}
    description = (
        "Read on in the result of an earlier call that was too long to be sent whole, or read one again that was left "
        "out of the conversation to save space."
    )
    options = {"context": "context", "read_only": True, "max_result": None}
    made: Tool[..., str] = Tool(EARLIER_RESULT, description, schema, _earlier_result, **options)  # type: ignore[arg-type]
    made.has_hooks = False  # it shows what the hooks of an earlier call have let pass
    return made


HIDDEN_TOOLS = {EARLIER_RESULT: earlier_result_tool}
"""Tools that are offered only in requests that leave something out, by name."""
