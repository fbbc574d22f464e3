"""Kimi K3."""

from pathlib import Path

from agentkit.text.families.family import Family

_CALL = "<|open|>tools<|sep|><|open|>call tool="

FAMILY = Family(
    "kimi_k3",
    patterns=(r"kimi[-_ ]?k3(?!\w|[-_ .:]*(?:\d|base))",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.kimi_k3",
    ends=("<|end_of_msg|>",),
    forced=(_CALL + '"', _CALL + '"{name}" index="1"<|sep|>'),
    image="<|kimi_image_placeholder|>",
    markup=("<|open|>", "<|close|>", "<|sep|>"),
)
