"""Qwen3.5, Qwen3.6 and Qwen3.8: Qwen3-Coder's calls, tools as JSON, images, and thoughts that the prompt opens."""

from pathlib import Path

from agentkit.text.families.chatml import END, QWEN_IMAGE, TAGS, XML_CALL, of_qwen
from agentkit.text.families.family import Family, Variant

FAMILY = Family(
    "qwen3.5",
    patterns=(of_qwen(r"3\.[568](?!\.?\d|.*coder)"),),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.qwen_coder",
    ends=(END, "<|endoftext|>"),
    forced=XML_CALL,
    image=QWEN_IMAGE,
    variants=(
        Variant(r"3\.5[-_: ](?:0\.8|2)b", {"variables": {"thinks": False}}),
        Variant(r"3\.6", {"variables": {"version": "3.6"}}),
        Variant(r"3\.8", {"variables": {"version": "3.8"}}),
    ),
    tags=TAGS,
)
