"""gpt-oss ("harmony"): a reply is a row of messages, each in a channel; reasoning may follow an answer or a call.

<|channel|>analysis<|message|>I look.<|end|><|start|>assistant<|channel|>commentary to=functions.now <|constrain|>json
<|message|>{"zone": "UTC"}<|call|><|start|>assistant<|channel|>final<|message|>It is 9.<|return|>   (all on one line)

A call may also stand in the analysis channel, and its recipient before the channel:

<|start|>assistant to=functions.now<|channel|>commentary json<|message|>{"zone": "UTC"}<|call|>
"""

import functools
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Format, Segment, Text
from agentkit.text.formats.json_block import JsonBlock, arguments_call

START, CHANNEL, MESSAGE = "<|start|>assistant", "<|channel|>", "<|message|>"
CALL = "<|channel|>commentary to="
ANSWERS = (
    *("<|channel|>final<|message|>", "<|channel|>commentary<|message|>"),
    *("<|channel|>final <|constrain|>json<|message|>", "<|channel|>final json<|message|>"),
)
ENDS = ("<|end|>", "<|return|>", "<|call|>")
_RECIPIENT = re.compile(r"\s*(?:functions\.)?([\w.\-]{1,300})")
_CHANNEL = r"(?:analysis|commentary|final)"
_KIND = r"(?: ?<\|constrain\|> ?\w{1,20}| \w{1,20})?"
_BEGUN = (
    (START + " ", re.compile(rf"to=[\w.\-]{{1,300}}<\|channel\|>{_CHANNEL}{_KIND} ?<\|message\|>")),
    (START, re.compile(rf" to=[\w.\-]{{1,300}}<\|channel\|>{_CHANNEL}{_KIND} ?<\|message\|>")),
    (CHANNEL, re.compile(rf"{_CHANNEL}(?: to=[\w.\-]{{1,300}})?{_KIND} ?<\|message\|>")),
)
_FIRST = (" to=", "to=", "analysis", "commentary", "final")
_HEADER = re.compile(r"[ \w.\-=|<>]*+")
_MAX_HEADER, _MAX_WORDS = 400, 40
"""Characters of a header, and of its words before the recipient or the first token."""


def completed(text: str) -> str | None:
    """See `agentkit.text.call_format.Format.completed`: the prompt may have begun the header of the first message."""
    if not any(text.startswith(word) or word.startswith(text) for word in _FIRST):
        return text
    words = text[:_MAX_WORDS]
    if len(words) == _MAX_WORDS and not ("=" in words or "<" in words):
        return text
    text, rest = text[:_MAX_HEADER], text[_MAX_HEADER:]
    if MESSAGE not in text:
        return None if len(text) < _MAX_HEADER and _HEADER.fullmatch(text) else text + rest
    return next((begun + text for begun, header in _BEGUN if header.match(text)), text) + rest


def parse_call(inside: str, whole: bool, names: Collection[str] = ()) -> list[Segment]:
    """Parse the call of a block; a message to the assistant itself is text. names: those of the tools, since the word
    "json" may be glued to a name."""
    head, separator, arguments = inside.partition(MESSAGE)
    found = _RECIPIENT.match(head)
    if not separator or found is None:
        return [BadCall("", "the tool call has no recipient and message")]
    name = found[1]
    if name == "assistant":
        return [Text(arguments)]
    if name not in names and name.removesuffix("json") in names:
        name = name.removesuffix("json")
    return [arguments_call(name, arguments, whole)]


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call."""
    names = [str(tool.get("function", tool).get("name")) for tool in tools or ()]
    parse = functools.partial(parse_call, names=names)
    return JsonBlock(marker, ("<|start|>",), ENDS, parse, head=re.compile(r"\w"))


FORMAT = Format(
    "gpt_oss",
    starts=(CALL, *(f"<|channel|>{name} to=" for name in ("analysis", "comment", "final")), "<|start|>assistant to="),
    block=block,
    swallowed=(
        *(START, *ANSWERS, *ENDS),
        *("<|channel|>commentary to=assistant<|channel|>final<|message|>", "<|channel|>commentary to=assistant"),
        "<|channel|>commentary to=assistant<|message|>",
    ),
    thinks=("<|channel|>analysis<|message|>", "<|end|>"),
    reopens=True,
    answers=(START, *ANSWERS),
    completed=completed,
    announced_by=(CHANNEL, START),
)
