"""GigaChat 3: a call is a message of its own; in 3.1 it stands in the message of the assistant.

3     I look.<|message_sep|>

      function call<|role_sep|>
      {"name": "get_weather", "arguments": {"city": "Paris"}}
3.1   I look.<|function_call|>{"name": "get_weather", "arguments": {"city": "Paris"}}
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format
from agentkit.text.formats.json_block import JsonValueBlock

SEPARATOR, ROLE, CALL = "<|message_sep|>", "<|role_sep|>", "<|function_call|>"
MESSAGE = f"{SEPARATOR}\n\nfunction call{ROLE}"
_BARE = f"function call{ROLE}"


def completed(text: str) -> str | None:
    """See `agentkit.text.call_format.Format.completed`: the reply may begin with the role of the second message."""
    if text.startswith(_BARE):
        return MESSAGE + text[len(_BARE) :]
    return None if _BARE.startswith(text) else text


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call."""
    return JsonValueBlock(marker)


FORMAT = Format(
    "gigachat", starts=(MESSAGE, CALL), block=block, swallowed=(SEPARATOR,), strips=True, completed=completed
)
