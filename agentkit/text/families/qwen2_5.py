"""Qwen2, Qwen2.5, Qwen2.5-VL and InternVL."""

from pathlib import Path

from agentkit.text.families.chatml import END, JSON_CALL, QWEN_IMAGE, TAGS
from agentkit.text.families.family import Family
from agentkit.text.families.vision import VISION

FAMILY = Family(
    "qwen2.5",
    patterns=(r"qwen", r"internvl"),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.hermes",
    ends=(END, "<|endoftext|>"),
    forced=JSON_CALL,
    image=QWEN_IMAGE,
    variants=VISION,
    special_tokens=("<image>", "</image>", "<img>", "</img>", "<IMG_CONTEXT>"),  # InternVL's
    tags=TAGS,
)
