"""Llama-3.3-Nemotron-Super-49B v1.5, which thinks unless the system message holds "/no_think"."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "nemotron_super_v1.5",
    patterns=(exactly(r"(?:nvidia[-_.])?llama-3[._]3-nemotron-super-49b-v1[._]5"),),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<|begin_of_text|>",
    calls="agentkit.text.formats.nemotron",
    ends=("<|eot_id|>", "<|end_of_text|>"),
    forced=('<TOOLCALL>[{{"name": "', '<TOOLCALL>[{{"name": "{name}", "arguments":'),
    markup=("<TOOLCALL>", "</TOOLCALL>", "<AVAILABLE_TOOLS>", "</AVAILABLE_TOOLS>"),
    tags=("tool_response", "think"),
)
