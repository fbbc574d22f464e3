"""Nemotron Nano v2 (9B and 12B), which thinks unless a message holds "/no_think"."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "nemotron_nano_v2",
    patterns=(exactly(r"(?:nvidia[-_.])?nemotron-nano-(?:9b|12b)-v2"),),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.nemotron",
    ends=("<SPECIAL_12>", "</s>"),
    forced=None,  # its prompts end inside the reasoning
    grows_at_end=False,
    special_tokens=("<s>", "</s>", "<unk>", "<SPECIAL_10>", "<SPECIAL_11>"),
    markup=("<TOOLCALL>", "</TOOLCALL>", "<AVAILABLE_TOOLS>", "</AVAILABLE_TOOLS>"),
    tags=("tool_response", "think"),
)
