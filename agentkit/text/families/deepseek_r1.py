"""DeepSeek R1 and its distilled models of January 2025, made of Qwen2.5 and Llama 3."""

from pathlib import Path

from agentkit.text.families.deepseek_tokens import END, FORCED, MARKUP
from agentkit.text.families.family import Family, Variant

FAMILY = Family(
    "deepseek_r1",
    patterns=(
        r"deepseek[-_ ]?r1[-_ ]distill[-_ ](?:qwen|llama)",
        r"deepseek[-_ ]?r1:(?:1\.5|7|8|14|32|70|671)b",
        r"deepseek[-_ ]?r1(?!\w|:|[-_. ]*(?:zero|lite|base|distill|\d))",
    ),
    template=Path(__file__).with_suffix(".jinja"),
    tools_template=Path(__file__).with_name("deepseek_v3_tools.jinja"),
    calls="agentkit.text.formats.deepseek",
    ends=(END,),
    forced=FORCED,
    variants=(Variant(r"distill|:(?:1\.5|7|8|14|32|70)b", {"variables": {"outputs_apart": True}}),),
    markup=MARKUP,
    tags=("think",),
)
