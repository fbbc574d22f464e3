"""Granite 3.0."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "granite3.0",
    patterns=(
        exactly(r"(?:ibm[-_.](?:granite[-_.])?)?granite-?3(?:\.0)?-(?:dense|moe)"),
        exactly(r"(?:ibm[-_.](?:granite[-_.])?)?granite-?3\.0(?:-(?:1b-a400m|3b-a800m))?"),
    ),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.granite",
    ends=("<|end_of_text|>",),
    forced=('<|tool_call|>[{{"name": "', '<|tool_call|>[{{"name": "{name}", "arguments":'),
    markup=("<|tool_call|>",),
)
