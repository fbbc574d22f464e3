"""Granite 4.0 and 4.1."""

from pathlib import Path

from agentkit.text.families.chatml import JSON_CALL, TAGS
from agentkit.text.families.family import Family, Variant
from agentkit.text.families.names import exactly

_NAME = r"(?:ibm[-_.](?:granite[-_.])?)?granite-?"
_DEFAULT = "You are a helpful assistant. Please ensure responses are professional, accurate, and safe."

FAMILY = Family(
    "granite4",
    patterns=(
        exactly(
            r"(?:ibm[-_.](?:granite[-_.])?)?granite-?4(?:\.0)?(?![-:](?:h-)?(?:350m|1b))(?:[-:](?:h-)?(?:tiny|small|micro)(?:-h)?)?"
        ),
        exactly(r"(?:ibm[-_.](?:granite[-_.])?)?granite-?4\.1"),
    ),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.hermes",
    ends=("<|end_of_text|>",),
    forced=JSON_CALL,
    variants=(Variant(r"granite-?4(?:\.0)?(?![\d.])", {"variables": {"default_system": _DEFAULT}}),),
    special_tokens=("<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>"),
    tags=TAGS,
)
