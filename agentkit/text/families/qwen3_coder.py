"""Qwen3-Coder and Qwen3-Coder-Next."""

from pathlib import Path

from agentkit.text.families.chatml import END, QWEN_IMAGE, TAGS, XML_CALL, of_qwen
from agentkit.text.families.family import Family, Variant

FAMILY = Family(
    "qwen3_coder",
    patterns=(of_qwen(r"3[-_. ]?coder"),),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.qwen_coder",
    ends=(END, "<|endoftext|>"),
    forced=XML_CALL,
    image=QWEN_IMAGE,
    variants=(Variant(r"coder[-_]?next", {"variables": {"name_of_tools": "function"}}),),
    markup=("<function=", "<parameter="),
    tags=TAGS,
)
