"""MiniMax M2: parameters as raw text between tags, several calls in one wrapper; dots.llm, and models trained on
Claude's calls, have wrappers of other names.

<minimax:tool_call>
<invoke name="get_weather">
<parameter name="city">Paris</parameter>
</invoke>
</minimax:tool_call>
"""

from agentkit.text.call_format import Format
from agentkit.text.formats.elements import Tags, block_of

START, END = "<minimax:tool_call>", "</minimax:tool_call>"
TAGS = Tags(
    {
        START: END,
        "<dots_function_call>": "</dots_function_call>",
        "<function_calls>": "</function_calls>",
    },
    "invoke",
    "parameter",
)

FORMAT = Format(
    "minimax_m2",
    starts=(*TAGS.wrappers, "<invoke name="),
    block=block_of(TAGS),
    swallowed=(END, "</dots_function_call>"),
    section=(START, END),
    strips=True,
)
