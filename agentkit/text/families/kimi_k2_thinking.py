"""Kimi K2 Thinking."""

from pathlib import Path

from agentkit.text.families.chatml import END
from agentkit.text.families.family import Family

_CALL = "<|tool_calls_section_begin|><|tool_call_begin|>functions."

FAMILY = Family(
    "kimi_k2_thinking",
    patterns=(r"kimi[-_ ]?k2[-_ :]thinking",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.kimi",
    ends=(END,),
    forced=(_CALL, _CALL + "{name}:0<|tool_call_argument_begin|>"),
    image="<|media_start|>image<|media_content|><|media_pad|><|media_end|>\n",
    grows_at_end=False,
    tags=("think",),
)
