"""DeepSeek V3, V3.1 and R1 (the bars are U+FF5C, the blocks U+2581), and other models trained on R1's answers."""

from pathlib import Path

from agentkit.text.families.family import Family, Variant
from agentkit.text.families.vision import VISION

_CALL = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>"

FAMILY = Family(
    "deepseek",
    patterns=(r"deepseek",),
    template=Path(__file__).with_suffix(".jinja"),
    tools_template=Path(__file__).with_name("deepseek_tools.jinja"),
    calls="agentkit.text.formats.deepseek",
    ends=("<｜end▁of▁sentence｜>",),
    forced=(_CALL, _CALL + "{name}<｜tool▁sep｜>"),
    variants=(Variant(r"\br1\b|-r1|reasoner", {"variables": {"thinking": True}}), *VISION),
    special_tokens=("｜DSML｜",),
    markup=(
        *("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"),
        *("<｜tool▁outputs▁begin｜>", "<｜tool▁outputs▁end｜>", "<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>"),
        "<｜tool▁sep｜>",
    ),
    tags=("think",),
)
