"""GLM-4.5 to 4.7, ChatGLM and GLM-Z1."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.vision import VISION

FAMILY = Family(
    "glm",
    patterns=(r"glm", r"z1-"),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.glm",
    ends=("<|user|>", "<|observation|>", "<|endoftext|>"),
    forced=("<tool_call>", "<tool_call>{name}\n"),
    image="<|begin_of_image|><|image|><|end_of_image|>",
    variants=VISION,
    special_tokens=("[gMASK]", "[sMASK]", "[MASK]", "<sop>", "<eop>"),
    tags=("tool_call", "tool_response", "tools", "think", "arg_key", "arg_value"),
)
