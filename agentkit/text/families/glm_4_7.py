"""GLM-4.7 and GLM-4.7-Flash, which write calls as GLM-4.5 does, but without line breaks."""

from pathlib import Path

from agentkit.text.families.family import Family

FAMILY = Family(
    "glm_4.7",
    patterns=(r"glm[-_ ]?4\.7(?!\d|[-_ ]?(?:v\b|base))",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.glm",
    ends=("<|user|>", "<|observation|>", "<|endoftext|>"),
    forced=("<tool_call>", "<tool_call>{name}"),
    tags=("tool_call", "tool_response", "tools", "think", "arg_key", "arg_value"),
)
