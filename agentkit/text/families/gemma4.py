"""Gemma 4."""

from pathlib import Path

from agentkit.text.families.family import Family, Variant
from agentkit.text.families.names import exactly

FAMILY = Family(
    "gemma4",
    patterns=(exactly(r"(?:google[-_.])?gemma-?4(?:[-:](?:e[24]b|26b-a4b))?"),),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<bos>",
    calls="agentkit.text.formats.gemma4",
    ends=("<turn|>", "<|tool_response>", "<eos>"),
    forced=("<|tool_call>call:", "<|tool_call>call:{name}{{"),
    image="<|image|>",
    variants=(Variant(r"(?<![a-z\d])e[24]b(?![a-z\d])", {"variables": {"empty_thought": False}}),),
    grows_at_end=False,
    special_tokens=("<bos>", "<pad>", "<mask>", "<unk>"),
    markup=("<|tool_response>", '<|"|>', "<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>"),
)
