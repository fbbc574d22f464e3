"""Functionary v3.2, trained from Llama 3.1."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "functionary_v3.2",
    patterns=(exactly(r"(?:meetkai[-_.])?functionary-(?:small|medium)-v3\.2"),),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<|begin_of_text|>",
    calls="agentkit.text.formats.functionary_recipients",
    ends=("<|eot_id|>", "<|end_of_text|>"),
    forced=None,  # its prompts end before the recipient, which the parser has to see
)
