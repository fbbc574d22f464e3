"""SmolLM2-Instruct: ChatML with a system message of its own. Its template knows no tools: those of Qwen2.5 are merged
in, whose calls it was trained on."""

from pathlib import Path

from agentkit.text.families.chatml import END, JSON_CALL, TAGS
from agentkit.text.families.family import Family

FAMILY = Family(
    "smollm2",
    patterns=(r"smollm-?2(?!\.?\d)",),
    template=Path(__file__).with_name("qwen2_5.jinja"),
    calls="agentkit.text.formats.hermes",
    ends=(END, "<|endoftext|>"),
    forced=JSON_CALL,
    variables={"default_system": "You are a helpful AI assistant named SmolLM, trained by Hugging Face"},
    tags=TAGS,
)
