"""MiniMax M1."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "minimax_m1",
    patterns=(exactly(r"minimax[-_]m1"),),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.tool_calls",
    ends=("<end_of_sentence>",),
    forced=('<tool_calls>\n{{"name": "', '<tool_calls>\n{{"name": "{name}", "arguments":'),
    special_tokens=("<beginning_of_sentence>", "<begin_of_document>", "<end_of_document>"),
    tags=("tool_calls", "tools", "think"),
)
