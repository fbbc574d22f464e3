"""DeepSeek R1-0528 and its distilled model, which open their thoughts themselves."""

from pathlib import Path

from agentkit.text.families.deepseek_tokens import END, FORCED, MARKUP
from agentkit.text.families.family import Family

FAMILY = Family(
    "deepseek_r1_0528",
    patterns=(r"deepseek[-_ ]?r1[-_ ]0528",),
    template=Path(__file__).with_name("deepseek_v3.jinja"),
    tools_template=Path(__file__).with_name("deepseek_v3_tools.jinja"),
    calls="agentkit.text.formats.deepseek",
    ends=(END,),
    forced=FORCED,
    variables={"drops_thoughts": True},
    markup=MARKUP,
    tags=("think",),
)
