"""Mistral's models with v13 tokenizers: Devstral-Small-2507, Devstral 2, Magistral-Small-2507 and -2509, Ministral 3
and Mistral-Large-3."""

from pathlib import Path

from agentkit.text.families.family import Family, Variant
from agentkit.text.families.mistral_system import DEVSTRAL, MINISTRAL, MINISTRAL_REASONING
from agentkit.text.families.mistral_tokens import BOS, END, IMAGE, NAME, NAMED_CALL, short_id

_SHOWN = {"image_first": True, "joins": True}


def _instruct(pattern: str, name: str) -> Variant:
    """A model whose template says its name."""
    made = MINISTRAL.replace("{name}", name)
    return Variant(pattern, {"variables": {**_SHOWN, "default_system": made}})


FAMILY = Family(
    "mistral_v13",
    patterns=(
        NAME + r"devstral-small[\w:.-]{0,20}2507",
        NAME + r"devstral-(?:small-)?2(?:[:-]|$)",
        NAME + r"magistral-small[\w:.-]{0,20}250[79]",
        NAME + r"ministral-3[:-](?:3|8|14)b",
        NAME + r"mistral-large-3(?:[:-]|$)",
    ),
    template=Path(__file__).with_suffix(".jinja"),
    bos=BOS,
    calls="agentkit.text.formats.mistral",
    ends=(END,),
    forced=NAMED_CALL,
    image=IMAGE,
    variants=(
        Variant(r"devstral-small[\w:.-]{0,20}2507", {"variables": {"default_system": DEVSTRAL}}),
        _instruct(r"devstral-small-2(?:[:-]|$)", "Devstral-Small-2-24B-Instruct-2512"),
        Variant(r"magistral", {"variables": {**_SHOWN, "thinks": True}}),
        Variant(r"magistral[\w:.-]{0,20}2507", {"image": None}),
        *(_instruct(rf"ministral-3[:-]{size}b", f"Ministral-3-{size}B-Instruct-2512") for size in (3, 8, 14)),
        Variant(r"ministral-3.{3,5}reasoning", {"variables": {**_SHOWN, "default_system": MINISTRAL_REASONING}}),
    ),
    variables=_SHOWN,
    new_call_id=short_id,
)
