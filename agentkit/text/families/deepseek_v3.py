"""DeepSeek V3-0324."""

from pathlib import Path

from agentkit.text.families.deepseek_tokens import END, FORCED, MARKUP
from agentkit.text.families.family import Family

FAMILY = Family(
    "deepseek_v3",
    patterns=(r"deepseek[-_ ]?v3[-_ ]0324",),
    template=Path(__file__).with_suffix(".jinja"),
    tools_template=Path(__file__).with_name("deepseek_v3_tools.jinja"),
    calls="agentkit.text.formats.deepseek",
    ends=(END,),
    forced=FORCED,
    markup=MARKUP,
    tags=("think",),
)
