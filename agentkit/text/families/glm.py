"""GLM-4.5 and GLM-4.6, also Air."""

from pathlib import Path

from agentkit.text.families.family import Family

FAMILY = Family(
    "glm",
    patterns=(r"glm[-_ ]?4\.[56](?!\d|[-_ ]?(?:air|x|airx)?[-_ ]?(?:v|base)\b|v[-_ ])",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.glm",
    ends=("<|user|>", "<|observation|>", "<|endoftext|>"),
    forced=("<tool_call>", "<tool_call>{name}\n"),
    special_tokens=("[gMASK]", "[sMASK]", "[MASK]", "<sop>", "<eop>"),
    tags=("tool_call", "tool_response", "tools", "think", "arg_key", "arg_value"),
)
