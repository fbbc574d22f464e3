"""Hermes 2 Pro, Hermes 2 Theta and Hermes 3, whatever model they were trained from."""

from pathlib import Path

from agentkit.text.families.chatml import END, JSON_CALL, TAGS
from agentkit.text.families.family import Family, Variant

FAMILY = Family(
    "hermes",
    patterns=(r"hermes-?2-?(?:pro|theta)", r"hermes-?3(?!\.?\d)"),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<|begin_of_text|>",
    calls="agentkit.text.formats.hermes",
    ends=(END,),
    forced=JSON_CALL,
    variants=(Variant(r"mistral", {"bos": "<s>"}),),
    tags=TAGS,
)
