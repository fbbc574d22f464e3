"""Nemotron-3 Nano, Super and Ultra and Nemotron-3.5 Lightning: Qwen3-Coder's tools and calls, and thoughts that the
prompt opens; those before the last question are emptied."""

from pathlib import Path

from agentkit.text.families.chatml import END, TAGS, XML_CALL
from agentkit.text.families.family import Family, Variant


def _version(name: str) -> Variant:
    """The variant of that name, which writes how hard to think into the last question."""
    return Variant(name, {"variables": {"version": name}, "grows_at_end": False})


FAMILY = Family(
    "nemotron_3",
    patterns=(r"nemotron-?3-?(?:nano|super|ultra)", r"nemotron-?3\.5-?lightning"),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.qwen_coder",
    ends=(END,),
    forced=XML_CALL,
    variants=(_version("super"), _version("ultra"), Variant("lightning", {"variables": {"version": "lightning"}})),
    tags=TAGS,
)
