"""Kimi K3: arguments between tags of three tokens, each with its type.

    <|open|>tools<|sep|><|open|>call tool="get_weather" index="1"<|sep|>
    <|open|>argument key="city" type="string"<|sep|>Paris<|close|>argument<|sep|>
    <|close|>call<|sep|><|close|>tools<|sep|>   (on one line)

All arguments may stand in one <|open|>json type="object"<|sep|>. Tags of these kinds also separate the reasoning, the
answer and the calls of a reply.
"""

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Call, Format, Segment, Text, any_of, partial_word_start
from agentkit.text.formats.json_block import arguments_call
from agentkit.text.formats.typed import parameters_of, typed_value

START, SEP, OPEN = "<|open|>call", "<|sep|>", "<|open|>"
FIRST, LAST = "<|open|>tools<|sep|>", "<|close|>tools<|sep|>"
_END, _MESSAGE_END = "<|close|>call<|sep|>", "<|close|>message<|sep|>"
_ENDS = (_END, START, LAST, _MESSAGE_END, "<|end_of_msg|>")
_ANY_END = any_of(_ENDS)
_ATTRIBUTE = re.compile(r'\b(tool|key|type)="([^"]*)"')
_MAX_HEAD = 1000


class _KimiK3Block:
    """Reads to the end of one call."""

    def __init__(self, tools: Sequence[Mapping[str, Any]] | None) -> None:
        self._tools = tools
        self._rest = ""
        self._parts: list[str] = []
        self._whole = self._rejected = False

    def feed(self, text: str) -> str | None:
        text, self._rest = self._rest + text, ""
        if not self._parts and text and not text[0].isspace():
            self._rejected = True
            return text
        found = _ANY_END.search(text)
        if found is None:
            keep = partial_word_start(text, _ENDS)
            self._keep(text[:keep])
            self._rest = text[keep:]
            return None
        self._keep(text[: found.start()])
        self._whole = found.group() == _END
        return text[found.end() if self._whole else found.start() :]

    def finish(self) -> str:
        self._keep(self._rest)
        return ""

    def segments(self) -> list[Segment]:
        if self._rejected:
            return [Text(START)]
        inside = "".join(self._parts)
        head, _, body = inside.partition(SEP)
        name = _attributes(head).get("tool", "").strip()
        text = START + inside + (_END if self._whole else "")
        if not name:
            return [BadCall(text, "the tool call has no name")]
        if not self._whole:
            return [BadCall(text, "the tool call is cut off before its end", name)]
        call = self._call(name, body)
        return [call._replace(text=text) if isinstance(call, BadCall) else call]

    def _keep(self, text: str) -> None:
        if text:
            self._parts.append(text)

    def _call(self, name: str, body: str) -> Call | BadCall:
        parameters = parameters_of(name, self._tools)
        made: dict[str, Any] = {}
        for element in body.split(OPEN)[1:]:
            head, _, rest = element.partition(SEP)
            kind = head.partition(" ")[0]
            value, closed, _ = rest.partition(f"<|close|>{kind}{SEP}")
            given = _attributes(head)
            if not closed or kind not in ("argument", "json"):
                return BadCall("", "an argument of the tool call has no end", name)
            if kind == "json":
                call = arguments_call(name, value, whole=True)
                if isinstance(call, BadCall):
                    return call
                made |= json.loads(call.arguments)
                continue
            is_text = given.get("type") == "string"
            key = given.get("key", "")
            made[key] = typed_value(value, key, parameters, parse_unknown=not is_text, keep_text=is_text)
        return Call(name, json.dumps(made, ensure_ascii=False))


def _attributes(head: str) -> dict[str, str]:
    return {found[1]: html.unescape(found[2]) for found in _ATTRIBUTE.finditer(head[:_MAX_HEAD])}


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call."""
    return _KimiK3Block(tools)


FORMAT = Format(
    "kimi_k3",
    starts=(START,),
    block=block,
    swallowed=(
        *(FIRST, LAST, "<|open|>response<|sep|>", "<|close|>response<|sep|>"),
        *('<|open|>message role="assistant"<|sep|>', _MESSAGE_END),
    ),
    section=(FIRST, LAST),
    thinks=("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
    reopens=True,
)
