"""Qwen3-Coder, Qwen3.5, Nemotron-3-Nano, MiMo-V2."""

from pathlib import Path

from agentkit.text.families.chatml import END, QWEN_IMAGE, TAGS
from agentkit.text.families.family import Family
from agentkit.text.families.vision import VISION

FAMILY = Family(
    "qwen3_coder",
    patterns=(r"qwen-?3[-_.]?coder", r"qwen-?3\.5", r"nemotron-?3", r"mimo-v2"),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.qwen_coder",
    ends=(END, "<|endoftext|>"),
    forced=("<tool_call>\n<function=", "<tool_call>\n<function={name}>\n"),
    image=QWEN_IMAGE,
    variants=VISION,
    markup=("<function=", "<parameter="),
    tags=TAGS,
)
