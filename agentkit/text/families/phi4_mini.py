"""Phi-4-mini."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "phi4_mini",
    patterns=(exactly(r"(?:microsoft[-_.])?phi-?4-mini"),),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.phi4_mini",
    ends=("<|end|>", "<|endoftext|>"),
    forced=('<|tool_call|>[{{"name": "', '<|tool_call|>[{{"name": "{name}", "arguments":'),
    markup=("<|tool_call|>", "<|/tool_call|>", "<|/tool|>"),
)
