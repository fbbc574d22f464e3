"""Functionary v3.1, trained from Llama 3.1."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "functionary_v3.1",
    patterns=(exactly(r"(?:meetkai[-_.])?functionary-(?:small|medium)-v3\.1"),),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<|begin_of_text|>",
    calls="agentkit.text.formats.functionary",
    ends=("<|eom_id|>", "<|eot_id|>", "<|end_of_text|>"),
    forced=("<function=", "<function={name}>"),
    markup=("<|python_tag|>", "<|eom_id|>"),
    tags=("function",),
)
