"""Apertus of the Swiss AI Initiative."""

from pathlib import Path

from agentkit.text.families.family import Family

FAMILY = Family(
    "apertus",
    patterns=(r"apertus-(?:8|70)b-instruct",),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<s>",
    calls="agentkit.text.formats.apertus",
    ends=("<|assistant_end|>", "<|tools_suffix|>"),
    forced=('<|tools_prefix|>[{{"', '<|tools_prefix|>[{{"{name}":'),
    grows_at_end=False,
    special_tokens=("<s>", "</s>", "<unk>", "<pad>"),
    markup=("<|tools_prefix|>", "<|tools_suffix|>", "<|inner_prefix|>", "<|inner_suffix|>"),
)
