"""Granite 3.1, 3.2 and 3.3."""

from pathlib import Path

from agentkit.text.families.family import Family, Variant
from agentkit.text.families.names import exactly

_NAME = r"(?:ibm[-_.](?:granite[-_.])?)?granite-?"

FAMILY = Family(
    "granite3",
    patterns=(
        exactly(r"(?:ibm[-_.](?:granite[-_.])?)?granite-?3\.[123](?:-(?:dense|moe))?(?:[-:](?:1b-a400m|3b-a800m))?"),
    ),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.granite",
    ends=("<|end_of_text|>",),
    forced=('<|tool_call|>[{{"name": "', '<|tool_call|>[{{"name": "{name}", "arguments":'),
    variables={"version": 3},
    variants=(
        Variant(r"granite-?3\.1", {"variables": {"version": 1}}),
        Variant(r"granite-?3\.2", {"variables": {"version": 2}, "calls": "agentkit.text.formats.granite3_2"}),
    ),
    markup=("<|tool_call|>", "<|start_of_cite|>", "<|end_of_cite|>"),
    tags=("think", "response"),
)
