"""Phi-3 and Phi-3.5 without images: mini, medium and MoE."""

from pathlib import Path

from agentkit.text.families.bare_json import FORCED
from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "phi3",
    patterns=(exactly(r"(?:microsoft[-_.])?phi-?3(?:\.5)?(?![-:](?:vision|small))(?:[-:](?:mini|medium|moe))?"),),
    template=Path(__file__).with_suffix(".jinja"),
    tools_template=Path(__file__).with_name("described_tools.jinja"),
    calls="agentkit.text.formats.llama",
    ends=("<|end|>", "<|endoftext|>"),
    forced=FORCED,
    tags=("tool_response",),
)
