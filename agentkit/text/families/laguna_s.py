"""Laguna S-2.1."""

from pathlib import Path

from agentkit.text.families.family import Family

FAMILY = Family(
    "laguna_s",
    patterns=(r"laguna[-_ ]s[-_ ]2\.1(?!\d|.*base)",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.glm",
    ends=("</assistant>",),
    forced=("<tool_call>", "<tool_call>{name}"),
    special_tokens=("〈|EOS|〉",),
    tags=("tool_call", "tool_response", "think", "arg_key", "arg_value"),
    own_tokens=(
        *("<system>", "</system>", "<user>", "</user>", "<assistant>"),
        *("<available_tools>", "</available_tools>"),
    ),
)
