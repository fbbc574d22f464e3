"""LFM2 of Liquid AI: the text models."""

from pathlib import Path

from agentkit.text.families.chatml import END
from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "lfm2",
    patterns=(exactly(r"lfm2[-_:](?:350m|700m|1\.2b|2\.6b|8b[-_]a1b)"),),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<|startoftext|>",
    calls="agentkit.text.formats.lfm2",
    ends=(END, "<|endoftext|>"),
    forced=("<|tool_call_start|>[", "<|tool_call_start|>[{name}("),
    markup=(
        *("<|tool_list_start|>", "<|tool_list_end|>", "<|tool_call_start|>", "<|tool_call_end|>"),
        *("<|tool_response_start|>", "<|tool_response_end|>"),
    ),
    tags=("think",),
)
