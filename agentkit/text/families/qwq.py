"""QwQ: as Qwen2.5, but it thinks before each reply, and its earlier thoughts are left out."""

from pathlib import Path

from agentkit.text.families.chatml import END, JSON_CALL, TAGS
from agentkit.text.families.family import Family

FAMILY = Family(
    "qwq",
    patterns=(r"qwq(?!.*preview)(?:$|[-_:](?:32b|latest|plus))",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.hermes",
    ends=(END, "<|endoftext|>"),
    forced=JSON_CALL,
    tags=TAGS,
)
