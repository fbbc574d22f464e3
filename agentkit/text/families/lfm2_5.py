"""LFM2.5 of Liquid AI: 1.2B Instruct and Thinking, and 8B-A1B."""

from pathlib import Path

from agentkit.text.families.chatml import END
from agentkit.text.families.family import Family, Variant
from agentkit.text.families.names import exactly

FAMILY = Family(
    "lfm2.5",
    patterns=(exactly(r"lfm2\.5[-_:](?:1\.2b[-_](?:instruct|thinking)|8b[-_]a1b)"),),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<|startoftext|>",
    calls="agentkit.text.formats.lfm2",
    ends=(END, "<|endoftext|>"),
    forced=("<|tool_call_start|>[", "<|tool_call_start|>[{name}("),
    variables={"until": "reply"},
    variants=(Variant(r"8b[-_]a1b", {"variables": {"until": "question"}}),),
    grows_at_end=False,
    markup=("<|tool_call_start|>", "<|tool_call_end|>"),
    tags=("think",),
)
