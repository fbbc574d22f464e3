"""MiniMax M3; `thinking_mode` is "enabled", "disabled" or "adaptive"."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

_CALL = "]<]minimax[>[<tool_call>\n]<]minimax[>[<invoke"

FAMILY = Family(
    "minimax_m3",
    patterns=(exactly(r"minimax[-_]m3(?::cloud)?"),),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.minimax_m3",
    ends=("[e~[",),
    forced=(_CALL, _CALL + ' name="{name}">'),
    image="]<]image[>[",
    special_tokens=("]~b]", "]~!b["),
    tags=("mm:think", "tool_call", "tools", "response"),
)
