"""MiMo-VL: Qwen2.5's prompt with a system message of its own; it thinks before it answers."""

from pathlib import Path

from agentkit.text.families.chatml import END, JSON_CALL, QWEN_IMAGE, TAGS
from agentkit.text.families.family import Family

FAMILY = Family(
    "mimo",
    patterns=(r"mimo-?vl-?7b",),
    template=Path(__file__).with_name("qwen2_5.jinja"),
    calls="agentkit.text.formats.hermes",
    ends=(END, "<|endoftext|>"),
    forced=JSON_CALL,
    image=QWEN_IMAGE,
    variables={"default_system": "You are MiMo, an AI assistant developed by Xiaomi."},
    tags=TAGS,
)
