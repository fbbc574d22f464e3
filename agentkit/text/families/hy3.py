"""Hunyuan 3 of Tencent (Hy3); `reasoning_effort` is "no_think", "low" or "high"."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

_CALL = "<tool_calls:opensource>\n<tool_call:opensource>"

FAMILY = Family(
    "hy3",
    patterns=(exactly(r"hy[-_]?3"),),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.hy3",
    ends=("<｜hy_eos:opensource｜>",),
    forced=(_CALL, _CALL + "{name}<tool_sep:opensource>\n"),
    grows_at_end=False,
    tags=tuple(
        f"{name}:opensource"
        for name in (
            *("think", "tool_calls", "tool_call", "tool_sep", "arg_key", "arg_value"),
            *("tool_responses", "tool_response"),
        )
    ),
)
