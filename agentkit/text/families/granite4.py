"""Granite 4.0 and 4.1."""

from pathlib import Path

from agentkit.text.families.chatml import JSON_CALL, TAGS
from agentkit.text.families.family import Family, Variant

_OTHERS = r"(?![\w.:-]{0,40}(?:\d{3}m|1b|preview|vision|speech|docling|guardian|embedding|code))"
_DEFAULT = "You are a helpful assistant. Please ensure responses are professional, accurate, and safe."

FAMILY = Family(
    "granite4",
    patterns=(rf"granite-?4(?:\.[01])?(?![\d.]){_OTHERS}",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.hermes",
    ends=("<|end_of_text|>",),
    forced=JSON_CALL,
    variants=(Variant(r"granite-?4(?:\.0)?(?![\d.])", {"variables": {"default_system": _DEFAULT}}),),
    special_tokens=("<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>"),
    tags=TAGS,
)
