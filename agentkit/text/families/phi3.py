"""Phi-3 and Phi-3.5 without images: mini, medium and MoE."""

from pathlib import Path

from agentkit.text.families.family import Family

FAMILY = Family(
    "phi3",
    patterns=(r"(?<![a-z])phi-?3(?:\.5)?(?![a-z\d.])(?![\w.:-]{0,40}(?:small|vision|silica))",),
    template=Path(__file__).with_suffix(".jinja"),
    tools_template=Path(__file__).with_name("described_tools.jinja"),
    calls="agentkit.text.formats.llama",
    ends=("<|end|>", "<|endoftext|>"),
    forced=('{{"name": "', '{{"name": "{name}", "parameters": '),
    tags=("tool_response",),
)
