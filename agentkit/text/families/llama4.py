"""Llama 4 Scout and Maverick."""

from pathlib import Path

from agentkit.text.families.bare_json import FORCED
from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "llama4",
    patterns=(exactly(r"(?:(?:us|eu|apac)\.)?(?:meta[-_.])?llama[-_]?v?4"),),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<|begin_of_text|>",
    calls="agentkit.text.formats.llama",
    ends=("<|eot|>", "<|eom|>", "<|end_of_text|>"),
    forced=FORCED,
    image="<|image|>",
    markup=("<|python_start|>", "<|python_end|>", "<|eom|>"),
)
