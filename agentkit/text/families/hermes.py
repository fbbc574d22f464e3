"""Hermes 2 Pro and Hermes 3, whatever model they were trained from."""

from pathlib import Path

from agentkit.text.families.chatml import END, JSON_CALL, TAGS
from agentkit.text.families.family import Family
from agentkit.text.families.vision import VISION

FAMILY = Family(
    "hermes",
    patterns=(r"hermes",),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<|begin_of_text|>",
    calls="agentkit.text.formats.hermes",
    ends=(END,),
    forced=JSON_CALL,
    variants=VISION,
    tags=TAGS,
)
