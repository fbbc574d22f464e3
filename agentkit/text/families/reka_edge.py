"""Reka Edge: turns that end in <sep>, calls as JSON in <tool_call>, and thoughts if enable_thinking asks for them."""

from pathlib import Path

from agentkit.text.families.chatml import JSON_CALL, TAGS
from agentkit.text.families.family import Family

END = "<sep>"

FAMILY = Family(
    "reka_edge",
    patterns=(r"reka-?edge",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.hermes",
    ends=(END,),
    forced=JSON_CALL,
    image=f"<image>{'<REKA_IMG_TOKEN>' * 64}</image>",
    special_tokens=("<image>", "</image>", "<video>", "</video>", "<REKA_IMG_TOKEN>"),
    tags=TAGS,
)
