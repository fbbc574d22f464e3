"""Hunyuan 3: keys and values in tags that have a suffix, which some servers leave out.

<think:opensource>I look.</think:opensource><tool_calls:opensource>
<tool_call:opensource>get_weather<tool_sep:opensource>
<arg_key:opensource>city</arg_key:opensource>
<arg_value:opensource>Paris</arg_value:opensource>
</tool_call:opensource>
</tool_calls:opensource>
"""

from dataclasses import replace

from agentkit.text.call_format import DEFAULT_THINKS
from agentkit.text.formats.tool_calls import FORMAT as TOOL_CALLS
from agentkit.text.formats.tool_calls import SUFFIXED

FORMAT = replace(
    TOOL_CALLS,
    name="hy3",
    section=SUFFIXED,
    thinks=("<think:opensource>", "</think:opensource>"),
    quoted_thinks=(DEFAULT_THINKS,),
)
