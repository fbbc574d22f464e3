"""Kimi K2, the model of July 2025."""

from pathlib import Path

from agentkit.text.families.chatml import END
from agentkit.text.families.family import Family

_CALL = "<|tool_calls_section_begin|><|tool_call_begin|>functions."

FAMILY = Family(
    "kimi",
    patterns=(r"kimi[-_ ]?k2(?:[-_ ]instruct)?(?!\w|[-_ .:]*(?:\d|base|thinking|instruct))",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.kimi",
    ends=(END,),
    forced=(_CALL, _CALL + "{name}:0<|tool_call_argument_begin|>"),
    image="<|media_start|>image<|media_content|><|media_pad|><|media_end|>\n",
    special_tokens=("[BOS]", "[EOS]", "[UNK]", "[PAD]", "[EOT]", "◁think▷", "◁/think▷"),
    tags=("think",),
)
