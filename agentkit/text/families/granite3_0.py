"""Granite 3.0."""

from pathlib import Path

from agentkit.text.families.family import Family

FAMILY = Family(
    "granite3.0",
    patterns=(r"granite-?3(?:\.0(?![\d.])|-(?:dense|moe)(?![a-z]))(?![\w.:-]{0,40}(?:guardian|base))",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.granite",
    ends=("<|end_of_text|>",),
    forced=('<|tool_call|>[{{"name": "', '<|tool_call|>[{{"name": "{name}", "arguments": '),
    markup=("<|tool_call|>",),
)
