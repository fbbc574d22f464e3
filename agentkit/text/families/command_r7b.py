"""Command R7B of Cohere."""

from pathlib import Path

from agentkit.text.families.cohere import BOS, END, FORCED, MARKUP, TOKENS
from agentkit.text.families.family import Family

FAMILY = Family(
    "command_r7b",
    patterns=(r"command-?r-?7b(?!-arabic)",),
    template=Path(__file__).with_suffix(".jinja"),
    bos=BOS,
    calls="agentkit.text.formats.cohere",
    ends=(END,),
    forced=FORCED,
    grows_at_end=False,
    special_tokens=TOKENS,
    markup=MARKUP,
)
