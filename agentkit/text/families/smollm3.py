"""SmolLM3: ChatML with metadata before the system message, and thoughts that /no_think in it turns off."""

from pathlib import Path

from agentkit.text.families.chatml import END, JSON_CALL, TAGS
from agentkit.text.families.family import Family

FAMILY = Family(
    "smollm3",
    patterns=(r"smollm-?3(?!\.?\d)",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.hermes",
    ends=(END, "<|end_of_text|>"),
    forced=JSON_CALL,
    tags=TAGS,
)
