"""Qwen3, Qwen3-VL and QwQ."""

from pathlib import Path

from agentkit.text.families.chatml import END, JSON_CALL, QWEN_IMAGE, TAGS
from agentkit.text.families.family import Family, Variant
from agentkit.text.families.vision import VISION

FAMILY = Family(
    "qwen3",
    patterns=(r"qwen-?3", r"qwq"),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.hermes",
    ends=(END, "<|endoftext|>"),
    forced=JSON_CALL,
    image=QWEN_IMAGE,
    variants=(Variant(r"thinking|qwq", {"starts_in_reasoning": True}), *VISION),
    tags=TAGS,
)
