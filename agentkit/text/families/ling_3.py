"""Ling 3."""

from pathlib import Path

from agentkit.text.families.family import Family

FAMILY = Family(
    "ling_3",
    patterns=(r"\bling[-_ ]?3\.0[-_ ]flash(?!.*base)",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.glm",
    ends=("<|role_end|>",),
    forced=("<tool_call>", "<tool_call>{name}\n"),
    tags=("tool_call", "tool_response", "tools", "think", "arg_key", "arg_value"),
    own_tokens=("<role>", "</role>"),
)
