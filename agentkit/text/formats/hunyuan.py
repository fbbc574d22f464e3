"""Hunyuan-A13B: a list of calls in a tag; thoughts, then the answer in a tag of its own.

<think>
I look.
</think>
<answer>
<tool_calls>[{"name": "get_weather", "arguments": {"city": "Paris"}}]</tool_calls>
</answer>
"""

from dataclasses import replace

from agentkit.text.formats.tool_calls import FORMAT as TOOL_CALLS

ANSWER = ("<answer>", "</answer>")
FORMAT = replace(TOOL_CALLS, name="hunyuan", swallowed=ANSWER, framing=ANSWER)
