"""MiniMax M2, and dots.llm: parameters as raw text between tags, several calls in one wrapper.

<minimax:tool_call>
<invoke name="get_weather">
<parameter name="city">Paris</parameter>
</invoke>
</minimax:tool_call>
"""

from agentkit.text.call_format import Format
from agentkit.text.formats.elements import Tags, block_of

TAGS = Tags(("<minimax:tool_call>", "</minimax:tool_call>"), "invoke", "parameter")
START, END = TAGS.wrapper

FORMAT = Format(
    "minimax_m2",
    starts=(START, "<invoke name="),
    block=block_of(TAGS),
    swallowed=(END,),
    section=(START, END),
    strips=True,
)
