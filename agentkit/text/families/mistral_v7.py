"""Mistral's models with v7 tokenizers: Mistral-Large-2411, Mistral-Small-3 (2501) and Mistral-Small-3.1 (2503)."""

from pathlib import Path

from agentkit.text.families.family import Family, Variant
from agentkit.text.families.mistral_tokens import BOS, END, IMAGE, LIST_CALL, NAME, SPACED_CALL, short_id

FAMILY = Family(
    "mistral_v7",
    patterns=(
        NAME + r"mistral-large[\w:.-]{0,20}2411",
        NAME + r"mistral-small[\w:.-]{0,20}250[13]",
        NAME + r"mistral-small-?3\.1",
        NAME + r"mistral-small:24b",
    ),
    template=Path(__file__).with_suffix(".jinja"),
    bos=BOS,
    calls="agentkit.text.formats.mistral",
    ends=(END,),
    forced=LIST_CALL,
    variants=(
        Variant(r"large", {"variables": {"spaced": True}, "forced": SPACED_CALL}),
        Variant(r"2503|3\.1", {"image": IMAGE}),
    ),
    variables={"says_default": True},
    moves_head=True,
    new_call_id=short_id,
)
