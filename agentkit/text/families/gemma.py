"""Gemma 1, 2, 3 and 3n."""

from pathlib import Path

from agentkit.text.families.bare_json import FORCED
from agentkit.text.families.family import Family, Variant
from agentkit.text.families.names import exactly

FAMILY = Family(
    "gemma",
    patterns=(
        exactly(r"(?:google[-_.])?gemma-?(?:2|3|3n)(?:[-:]e[24]b)?"),
        exactly(r"(?:google[-_.])?gemma(?:-1\.1)?[-:][27]b"),
    ),
    template=Path(__file__).with_suffix(".jinja"),
    tools_template=Path(__file__).with_name("described_tools.jinja"),
    bos="<bos>",
    calls="agentkit.text.formats.llama",
    ends=("<end_of_turn>", "<eos>"),
    forced=FORCED,
    variants=(
        Variant(r"gemma-?3", {"image": "<start_of_image>"}),
        Variant(r"gemma-?3[-:](?:1b|270m)", {"image": None}),
        Variant(r"gemma-?3n", {"image": "<image_soft_token>", "variables": {"image_mark": "<image_soft_token>"}}),
    ),
    special_tokens=(
        *("<bos>", "<eos>", "<pad>", "<start_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>"),
        *("<audio>", "</audio>", "<audio_soft_token>", "<start_of_audio>", "<end_of_audio>"),
    ),
    tags=("tool_response",),
)
