"""DeepSeek V4 and V4-Flash. In the models of 31 July 2026 the reasoning effort "high" has a text, and "max" another."""

from pathlib import Path

from agentkit.text.families.family import Family, Variant

_CALL = '\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name="'

FAMILY = Family(
    "deepseek_v4",
    patterns=(r"deepseek[-_ ]?v4(?![.\d]|.*(?:base|vision|vl\b))",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.dsml",
    ends=("<｜end▁of▁sentence｜>",),
    forced=(_CALL, _CALL + '{name}">\n'),
    variants=(Variant(r"0731", {"variables": {"has_high_effort": True}}),),
    special_tokens=("<｜/table>｜",),
    markup=("｜DSML｜", "<dsml:", "</dsml:"),
    tags=("think", "tool_result"),
)
