"""North Mini Code of Cohere (Cohere2MoE)."""

from pathlib import Path

from agentkit.text.families.cohere import BOS, END, FORCED, MARKUP, TOKENS
from agentkit.text.families.family import Family

FAMILY = Family(
    "north",
    patterns=(r"north-?mini-?code(?!-?[2-9])",),
    template=Path(__file__).with_suffix(".jinja"),
    bos=BOS,
    calls="agentkit.text.formats.cohere",
    ends=(END,),
    forced=FORCED,
    grows_at_end=False,
    special_tokens=TOKENS,
    markup=MARKUP,
)
