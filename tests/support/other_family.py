"""A model family with a format and a template of its own, as another package would add it: in one file.

Its models write a call as `<@now {"zone": "UTC"}<.>`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Format, Segment
from agentkit.text.families import Family
from agentkit.text.formats.json_block import JsonBlock, arguments_call

TEMPLATE = """
{%- if tools -%}{{- 'tools: ' ~ (tools | tojson) ~ '</>\n' -}}{%- endif -%}
{%- for message in messages -%}
    {{- message.role ~ ': ' ~ message.content -}}
    {%- for call in message.tool_calls or [] -%}
        {{- '<@' ~ call.function.name ~ ' ' ~ (call.function.arguments | tojson) ~ '<.>' -}}
    {%- endfor -%}
    {{- '</>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'assistant: ' -}}{%- endif -%}
"""


def parse_call(inside: str, whole: bool) -> list[Segment]:
    """Parse the call of a block."""
    name, space, arguments = inside.partition(" ")
    return [arguments_call(name, arguments, whole) if space else BadCall("", "a space must follow the tool's name")]


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call."""
    return JsonBlock(marker, ("<@",), ("<.>",), parse_call)


FAMILY = Family(
    "starling",
    patterns=(r"starling-[12]",),
    template=TEMPLATE,
    calls=Format("starling", starts=("<@",), block=block, thinks=("<hm>", "</hm>")),
    ends=("</>",),
    forced=("<@", "<@{name} "),
    markup=("<.>",),
)
