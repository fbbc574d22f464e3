"""Command R+ of Cohere."""

from pathlib import Path

from agentkit.text.families.cohere import BOS, END, TOKENS
from agentkit.text.families.family import Family

_CALL = 'Action:\n```json\n[\n    {{\n        "tool_name": "'

FAMILY = Family(
    "command_r",
    patterns=(r"command-?r-?plus(?!.{0,40}08-2024)",),
    template=Path(__file__).with_suffix(".jinja"),
    bos=BOS,
    calls="agentkit.text.formats.command_r",
    ends=(END,),
    forced=(_CALL, _CALL + '{name}",\n        "parameters": '),
    grows_at_end=False,
    special_tokens=TOKENS,
    tags=("results",),
)
