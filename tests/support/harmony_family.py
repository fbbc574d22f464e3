"""gpt-oss's format "harmony" as a package would add it: a whole model family in one file.

A reply is a row of messages, each in a channel, and reasoning may follow an answer or a call:

    <|channel|>analysis<|message|>I look.<|end|>
    <|start|>assistant<|channel|>commentary to=functions.now <|constrain|>json<|message|>{"zone": "UTC"}<|call|>
    <|start|>assistant<|channel|>final<|message|>It is 9.<|return|>       (all on one line)
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Format, Segment
from agentkit.text.families import Family
from agentkit.text.formats.json_block import JsonBlock, arguments_call

TEMPLATE = """
{%- macro tell(header, text, end='<|end|>') -%}
{{- '<|start|>' ~ header ~ '<|message|>' ~ text ~ end -}}
{%- endmacro -%}
{{- tell('system', 'Reasoning: ' ~ (reasoning_effort or 'medium')
    ~ '\n\n# Valid channels: analysis, commentary, final. Channel must be included for every message.') -}}
{%- set system = messages[0].content if messages[0].role == 'system' else '' -%}
{%- if system or tools -%}
    {%- set tools_head = '\n\n# Tools\n\n## functions\n\nnamespace functions {\n' if tools else '' -%}
    {%- set ns = namespace(text='# Instructions\n\n' ~ system ~ tools_head) -%}
    {%- for entry in tools or [] -%}
        {%- set each = entry.function -%}
        {%- set ns.text = ns.text ~ '\n// ' ~ each.description ~ '\ntype ' ~ each.name ~ ' = (_: '
            ~ (each.parameters | tojson) ~ ') => any;\n' -%}
    {%- endfor -%}
    {{- tell('developer', ns.text ~ ('\n} // namespace functions' if tools else '')) -}}
{%- endif -%}
{%- set names = namespace(of={}) -%}
{%- for message in messages -%}
    {%- if message.role == 'user' -%}
        {{- tell('user', message.content) -}}
    {%- elif message.role == 'assistant' -%}
        {%- if message.reasoning_content and message.tool_calls -%}
            {{- tell('assistant<|channel|>analysis', message.reasoning_content) -}}
        {%- endif -%}
        {%- if message.content -%}
            {{- tell('assistant<|channel|>' ~ ('commentary' if message.tool_calls else 'final'), message.content) -}}
        {%- endif -%}
        {%- for call in message.tool_calls or [] -%}
            {%- set names.of = dict(names.of, **{call.id: call.function.name}) -%}
            {{- tell('assistant<|channel|>commentary to=functions.' ~ call.function.name ~ ' <|constrain|>json',
                call.function.arguments | tojson, '<|call|>') -}}
        {%- endfor -%}
    {%- elif message.role == 'tool' -%}
        {{- tell('functions.' ~ names.of[message.tool_call_id] ~ ' to=assistant<|channel|>commentary',
            message.content) -}}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start|>assistant' -}}{%- endif -%}
"""
CALL, MESSAGE = "<|channel|>commentary to=", "<|message|>"
_RECIPIENT = re.compile(r"\s*(?:functions\.)?([\w.\-]{1,300})")


def parse_call(inside: str, whole: bool) -> list[Segment]:
    """Parse the call of a block."""
    head, separator, arguments = inside.partition(MESSAGE)
    found = _RECIPIENT.match(head)
    if not separator or found is None:
        return [BadCall("", "the tool call has no recipient and message")]
    return [arguments_call(found[1], arguments, whole)]


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call."""
    return JsonBlock(marker, ("<|start|>",), ("<|call|>", "<|end|>"), parse_call, head=re.compile(r"\w"))


FAMILY = Family(
    "harmony",
    patterns=(r"gpt-?oss",),
    template=TEMPLATE,
    calls=Format(
        "harmony",
        starts=(CALL,),
        block=block,
        swallowed=(
            *("<|start|>assistant", "<|channel|>final<|message|>", "<|channel|>commentary<|message|>"),
            *("<|end|>", "<|return|>", "<|call|>"),
        ),
        thinks=("<|channel|>analysis<|message|>", "<|end|>"),
        reopens=True,
    ),
    ends=("<|return|>", "<|call|>"),
    forced=(f"{CALL}functions.", CALL + "functions.{name} <|constrain|>json<|message|>"),
    special_tokens=("<|start|>", "<|end|>", "<|return|>"),
    markup=("<|channel|>", "<|message|>", "<|constrain|>", "<|call|>"),
)
