"""Laguna XS.2 and XS-2.1."""

from pathlib import Path

from agentkit.text.families.family import Family, Variant

DEFAULT_SYSTEM = (
    "You are a helpful, conversationally-fluent assistant made by Poolside. You are here to be helpful to users "
    "through natural language conversations."
)

FAMILY = Family(
    "laguna_xs",
    patterns=(r"laguna[-_ ]xs(?:\.2|[-_ ]2\.1)(?!\d|.*base)",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.glm",
    ends=("</assistant>",),
    forced=("<tool_call>", "<tool_call>{name}\n"),
    variants=(Variant(r"xs\.2", {"variables": {"default_system": DEFAULT_SYSTEM}}),),
    special_tokens=("〈|EOS|〉",),
    tags=("tool_call", "tool_response", "think", "arg_key", "arg_value"),
    own_tokens=(
        *("<system>", "</system>", "<user>", "</user>", "<assistant>"),
        *("<available_tools>", "</available_tools>"),
    ),
)
