"""Nemotron-3-Nano: Qwen3-Coder's tools and calls, and thoughts that the prompt opens; those before the last question
are emptied."""

from pathlib import Path

from agentkit.text.families.chatml import END, TAGS, XML_CALL
from agentkit.text.families.family import Family

FAMILY = Family(
    "nemotron_3_nano",
    patterns=(r"nemotron-?3-?nano",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.qwen_coder",
    ends=(END,),
    forced=XML_CALL,
    tags=TAGS,
)
