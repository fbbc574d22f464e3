"""Jamba 1.7 of AI21."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "jamba",
    patterns=(exactly(r"(?:ai21[-_])?jamba[-_](?:mini|large)[-_]1\.7"),),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<|startoftext|>",
    calls="agentkit.text.formats.tool_calls",
    ends=("<|eom|>", "<|endoftext|>"),
    forced=(' <tool_calls>[\n{{"name": "', ' <tool_calls>[\n{{"name": "{name}", "arguments":'),
    grows_at_end=False,
    tags=("tool_calls", "tool_definitions", "documents", "citations", "active_output_modes"),
)
