"""Step-3: calls as elements, each between tokens.

<｜tool_calls_begin｜><｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name="get_weather">
<steptml:parameter name="city">Paris</steptml:parameter></steptml:invoke><｜tool_call_end｜><｜tool_calls_end｜>
(on one line)
"""

from agentkit.text.call_format import Format
from agentkit.text.formats.elements import Tags, block_of

FIRST, LAST = "<｜tool_calls_begin｜>", "<｜tool_calls_end｜>"
BEGIN, SEPARATOR = "<｜tool_call_begin｜>", "<｜tool_sep｜>"

FORMAT = Format(
    "step3",
    starts=("<steptml:invoke name=",),
    block=block_of(Tags({}, "steptml:invoke", "steptml:parameter")),
    swallowed=(FIRST, LAST, BEGIN, BEGIN + "function" + SEPARATOR, SEPARATOR, "<｜tool_call_end｜>"),
    section=(FIRST, LAST),
    strips=True,
)
