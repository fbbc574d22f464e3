"""Bielik 11B v3.0: ChatML with tools described in Polish, and thoughts where enable_thinking asks for them."""

from pathlib import Path

from agentkit.text.families.chatml import END, JSON_CALL, TAGS
from agentkit.text.families.family import Family

FAMILY = Family(
    "bielik_v3",
    patterns=(r"bielik-?11b-?v3\.0",),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<s>",
    calls="agentkit.text.formats.hermes",
    ends=(END, "</s>"),
    forced=JSON_CALL,
    grows_at_end=False,
    tags=TAGS,
)
