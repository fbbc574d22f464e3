"""Mistral, all versions of its tool calls.

v3   [TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris"}, "id": "abcdefghi"}]
v11  [TOOL_CALLS]get_weather{"city": "Paris"}[TOOL_CALLS]now{}      also with [ARGS] before the braces
v13  [TOOL_CALLS]get_weather[CALL_ID]abcdefghi[ARGS]{"city": "Paris"}
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Call, Format, Segment, Text, partial_word_start
from agentkit.text.formats.json_block import arguments_call, calls_in
from agentkit.text.formats.typed import parameters_of
from agentkit.tooling.json_scan import JsonScan

START, ID, ARGUMENTS = "[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"
_HEAD = re.compile(r"\s*+(?P<name>[\w.\-]*+)\s*+(?:\[CALL_ID\]\s*+(?P<id>\w*+)\s*+)?(?P<args>\[ARGS\])?\s*+")
_MAX_HEAD = 300


class _MistralBlock:
    """Parses the text after one marker: a list of calls, or a name and its arguments."""

    def __init__(self, tools: Sequence[Mapping[str, Any]] | None) -> None:
        self._tools = tools
        self._head: list[str] | None = [""]
        self._name = ""
        self._id: str | None = None
        self._args = ""
        self._kept: list[str] = []
        self._scan = JsonScan()
        self._whole = False
        self._ends_here = False
        self._repeated = False

    def feed(self, text: str) -> str | None:
        if self._head is not None:
            head = "".join(self._head) + text
            self._head = [head]
            rest = self._parse_head(head)
            if rest is None or self._ends_here:
                return rest
            self._head, text = None, rest
        end = self._scan.feed(text)
        self._kept.append(text if end is None else text[:end])
        if end is None:
            return None
        self._whole = True
        return text[end:]

    def finish(self) -> str:
        if self._head is not None:
            head, self._head = self._head[0], None
            found = _HEAD.match(head)
            assert found is not None
            self._name, self._id = found["name"], found["id"]
            if not self._name:
                return head
            self._whole = not found["args"] and "[" not in head[found.end() :] and self._may_have_no_arguments()
            return head[found.end() :]
        return ""

    def segments(self) -> list[Segment]:
        inside = "".join(self._kept)
        markup = START + self._markup() + inside
        if inside and not self._name:
            parts = calls_in(inside, self._whole)
        elif not self._name:
            return [] if self._repeated else [Text(START)]  # v3 models may write the marker twice
        else:
            parts = [arguments_call(self._name, inside, self._whole)]
        return [self._completed(segment, markup) for segment in parts]

    def _parse_head(self, head: str) -> str | None:
        """Returns the text after the name; None while it isn't known where the name ends."""
        found = _HEAD.match(head[:_MAX_HEAD])
        assert found is not None
        rest = head[found.end() : _MAX_HEAD]
        undecided = not rest or partial_word_start(rest, (START, ID, ARGUMENTS)) == 0
        if undecided and len(head) < _MAX_HEAD:
            return None
        self._name, self._id, self._args = found["name"], found["id"], found["args"] or ""
        if rest[:1] == "{" or (rest[:1] == "[" and not rest.startswith(START) and not self._name):
            return head[found.end() :]
        self._ends_here = True
        self._repeated = rest.startswith(START) and not self._name
        if not rest.startswith(START) and not self._is_known():
            self._name = ""  # prose follows the marker, not a call
            return head
        self._whole = self._may_have_no_arguments()  # a name alone is a call without arguments
        space = head[: found.end()]
        return (space[len(space.rstrip()) :] if self._name else space) + head[found.end() :]

    def _is_known(self) -> bool:
        return self._tools is None or parameters_of(self._name, self._tools) is not None

    def _may_have_no_arguments(self) -> bool:
        """Whether the tool may have no parameters; else, at the end of a reply, the arguments are missing."""
        if self._tools is None:
            return True
        parameters = parameters_of(self._name, self._tools)
        return parameters is not None and not parameters.get("properties")

    def _markup(self) -> str:
        return self._name + (ID + self._id if self._id is not None else "") + self._args

    def _completed(self, segment: Segment, markup: str) -> Segment:
        if isinstance(segment, BadCall):
            return segment if segment.text else segment._replace(text=markup)
        return segment._replace(id=self._id) if isinstance(segment, Call) and self._id else segment


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of the text after one marker."""
    return _MistralBlock(tools)


FORMAT = Format("mistral", starts=(START,), block=block, thinks=("[THINK]", "[/THINK]"))
