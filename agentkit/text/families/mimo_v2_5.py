"""MiMo-V2.5 and MiMo-V2.5-Pro: Qwen3-Coder's tools and calls with exact values, no line breaks between turns, results
in a turn of their own, and all thoughts kept."""

from pathlib import Path

from agentkit.text.families.chatml import END, QWEN_IMAGE, TAGS
from agentkit.text.families.family import Family

FAMILY = Family(
    "mimo_v2.5",
    patterns=(r"mimo-?v2\.5(?!\.?\d)",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.mimo",
    ends=(END, "<|endoftext|>"),
    forced=("<tool_call>\n<function=", "<tool_call>\n<function={name}>\n"),
    image=QWEN_IMAGE,
    tags=TAGS,
)
