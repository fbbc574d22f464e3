"""Qwen2 and Qwen2.5, their models of vision and mathematics, QwQ-Preview, and InternVL3."""

from pathlib import Path

from agentkit.text.families.chatml import END, JSON_CALL, QWEN_IMAGE, TAGS, of_qwen
from agentkit.text.families.family import Family, Variant

_REASONING = (
    "You are a helpful and harmless assistant. You are Qwen developed by Alibaba. You should think step-by-step."
)
_MATH = r"Please reason step by step, and put your final answer within \boxed{}."


def _default(system: str) -> dict[str, object]:
    return {"variables": {"default_system": system}}


FAMILY = Family(
    "qwen2.5",
    patterns=(
        of_qwen(r"2(?:[._]?5)?(?!\.?\d)"),
        r"qwq-?32b-?preview",
        r"qvq-?72b-?preview",
        r"internvl-?3-(?:1b|2b|8b|14b|38b|78b)(?!.*-hf)",
    ),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.hermes",
    ends=(END, "<|endoftext|>"),
    forced=JSON_CALL,
    image=QWEN_IMAGE,
    variants=(
        Variant(r"qwen[-_ ]?2(?![._]?5)|2(?:[._]?5)?[-_ ]?vl|-1m\b", _default("You are a helpful assistant.")),
        Variant(r"2[._]?5-?math", _default(_MATH)),
        Variant(r"2[._]?5[-_.]?coder", {"calls": "agentkit.text.formats.qwen2_5_coder"}),
        Variant(r"q[wv]q", _default(_REASONING)),
        Variant(r"internvl", {"image": "<image>\n", "variables": {}}),
    ),
    special_tokens=("<image>", "</image>", "<img>", "</img>", "<IMG_CONTEXT>"),  # InternVL's
    tags=TAGS,
)
