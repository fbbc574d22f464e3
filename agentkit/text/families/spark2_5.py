"""Spark 2.5."""

from pathlib import Path

from agentkit.text.families.family import Family

FAMILY = Family(
    "spark2.5",
    patterns=(r"\bspark[-_ ]?2\.5(?!\d|.*base)",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.glm",
    ends=("<｜end▁of▁sentence｜>",),
    forced=("<tool_call>", "<tool_call>{name}"),
    tags=("tool_call", "tool_response", "tools", "think", "arg_key", "arg_value"),
)
