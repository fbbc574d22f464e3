"""DeepSeek V3.1 and V3.2-Exp."""

from pathlib import Path

from agentkit.text.families.deepseek_tokens import END, FIRST_CALL, MARKUP
from agentkit.text.families.family import Family

FAMILY = Family(
    "deepseek",
    patterns=(r"deepseek[-_ ]?v3[._]1(?!\d|.*base)", r"deepseek[-_ ]?v3[._]2[-_ ]exp(?!.*base)"),
    template=Path(__file__).with_suffix(".jinja"),
    tools_template=Path(__file__).with_name("deepseek_tools.jinja"),
    calls="agentkit.text.formats.deepseek",
    ends=(END,),
    forced=(FIRST_CALL, FIRST_CALL + "{name}<｜tool▁sep｜>"),
    markup=MARKUP,
    tags=("think",),
)
