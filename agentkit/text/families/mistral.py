"""Mistral's models with v3 tokenizers: Mistral-7B-v0.3, Mixtral-8x22B, Codestral-22B, Mistral-Small-2409,
Mistral-Large-2407, Mistral-Nemo and Ministral-8B-2410."""

from pathlib import Path

from agentkit.text.families.family import Family, Variant
from agentkit.text.families.mistral_tokens import (
    BOS,
    END,
    IMAGE,
    LIST_CALL,
    MARKUP,
    NAME,
    SPACED_CALL,
    TOKENS,
    short_id,
)

FAMILY = Family(
    "mistral",
    patterns=(
        NAME + r"mistral-nemo(?:-instruct)?(?:-2407|:|$)",
        NAME + r"ministral-8b-instruct-2410",
        NAME + r"mistral-7b(?:-instruct)?-v0[.-]3",
        NAME + r"mistral:7b(?:-instruct)?(?:-v0\.3|$)",
        NAME + r"mixtral[-:]8x22b(?:-instruct|-v0\.1|$)",
        NAME + r"codestral[-:]22b",
        NAME + r"mistral-small[\w:.-]{0,20}2409",
        NAME + r"mistral-large[\w:.-]{0,20}2407",
    ),
    template=Path(__file__).with_suffix(".jinja"),
    bos=BOS,
    calls="agentkit.text.formats.mistral",
    ends=(END,),
    forced=LIST_CALL,
    image=IMAGE,
    variants=(
        Variant(r"nemo|ministral", {"image": None}),
        Variant(
            r"7b|8x22b|codestral|small|large",
            {"variables": {"system_stays": True, "spaced": True}, "forced": SPACED_CALL, "image": None},
        ),
    ),
    variables={"system_stays": True},
    moves_head=True,
    new_call_id=short_id,
    special_tokens=TOKENS,
    markup=MARKUP,
)
