"""Seed-OSS: as Qwen3-Coder's calls, in tags of its own; a reply begins with its thoughts.

<seed:think>I look.</seed:think>
<seed:tool_call>
<function=get_weather>
<parameter=city>Paris</parameter>
</function>
</seed:tool_call>
"""

from agentkit.text.call_format import Format
from agentkit.text.formats.elements import Tags, block_of

START, END = "<seed:tool_call>", "</seed:tool_call>"
TAGS = Tags({START: END}, "function", "parameter", is_framed=True)

FORMAT = Format(
    "seed_oss",
    starts=(START,),
    block=block_of(TAGS),
    swallowed=(END,),
    section=(START, END),
    thinks=("<seed:think>", "</seed:think>"),
    strips=True,
)
