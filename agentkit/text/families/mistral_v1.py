"""Mistral's first models: Mistral-7B-v0.1, Mistral-7B-v0.2 and Mixtral-8x7B."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.mistral_tokens import BOS, END, NAME, SPACED_CALL

FAMILY = Family(
    "mistral_v1",
    patterns=(NAME + r"mistral-7b(?:-instruct)?-v0[.-][12]", NAME + r"mixtral[-:]8x7b(?:-instruct|-v0\.1|$)"),
    template=Path(__file__).with_suffix(".jinja"),
    tools_template=Path(__file__).with_name("mistral_v1_tools.jinja"),
    bos=BOS,
    calls="agentkit.text.formats.mistral",
    ends=(END,),
    forced=SPACED_CALL,
)
