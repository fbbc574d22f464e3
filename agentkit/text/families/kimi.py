"""Kimi K2 and Kimi-VL."""

from pathlib import Path

from agentkit.text.families.chatml import END
from agentkit.text.families.family import Family
from agentkit.text.families.vision import VISION

_CALL = "<|tool_calls_section_begin|><|tool_call_begin|>functions."

FAMILY = Family(
    "kimi",
    patterns=(r"kimi",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.kimi",
    ends=(END,),
    forced=(_CALL, _CALL + "{name}:0<|tool_call_argument_begin|>"),
    image="<|media_start|>image<|media_content|><|media_pad|><|media_end|>\n",
    variants=VISION,
    special_tokens=("[BOS]", "[EOS]", "[UNK]", "[PAD]", "[EOT]", "◁think▷", "◁/think▷"),
    tags=("think",),
)
