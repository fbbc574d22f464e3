"""Mistral's models with v11 tokenizers: Mistral-Small-3.2 (2506) and Magistral-Small-2506."""

from pathlib import Path

from agentkit.text.families.family import Family, Variant
from agentkit.text.families.mistral_tokens import BOS, END, IMAGE, NAME, short_id

FAMILY = Family(
    "mistral_v11",
    patterns=(
        NAME + r"mistral-small[\w:.-]{0,20}2506",
        NAME + r"mistral-small-?3\.2",
        NAME + r"magistral-small[\w:.-]{0,20}2506",
    ),
    template=Path(__file__).with_suffix(".jinja"),
    bos=BOS,
    calls="agentkit.text.formats.mistral",
    ends=(END,),
    forced=("[TOOL_CALLS]", "[TOOL_CALLS]{name}[CALL_ID]"),
    image=IMAGE,
    variants=(
        Variant(
            r"magistral",
            {
                "calls": "agentkit.text.formats.magistral",
                "variables": {"thinks": ("<think>", "</think>"), "keeps_text": True},
                "image": None,
            },
        ),
    ),
    variables={"says_default": True},
    moves_head=True,
    new_call_id=short_id,
    tags=("think",),
)
