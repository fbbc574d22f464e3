"""DeepSeek V3.2, whose calls stand between tags with the token ｜DSML｜ in their names."""

from pathlib import Path

from agentkit.text.families.family import Family

_CALL = '\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name="'

FAMILY = Family(
    "deepseek_v3.2",
    patterns=(r"deepseek[-_ ]?v3[._]2(?!\d|[-_ ]?(?:exp|base|speciale))",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.dsml_functions",
    ends=("<｜end▁of▁sentence｜>",),
    forced=(_CALL, _CALL + '{name}">\n'),
    markup=("｜DSML｜",),
    tags=("think", "function_results"),
    own_tokens=("<result>", "</result>", "<functions>", "</functions>"),
)
