"""Phi-4-mini."""

from pathlib import Path

from agentkit.text.families.family import Family

FAMILY = Family(
    "phi4_mini",
    patterns=(r"(?<![a-z])phi-?4-mini(?![a-z\d.])(?![\w.:-]{0,40}(?:reasoning|flash))",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.phi4_mini",
    ends=("<|end|>", "<|endoftext|>"),
    forced=('<|tool_call|>[{{"name": "', '<|tool_call|>[{{"name": "{name}", "arguments": '),
    markup=("<|tool_call|>", "<|/tool_call|>", "<|/tool|>"),
)
