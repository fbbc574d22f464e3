"""MiMo-V2: Qwen3-Coder's tags around values that are exact, newlines included.

<tool_call>
<function=get_weather>
<parameter=city>Paris</parameter>
</function>
</tool_call>
"""

from dataclasses import replace

from agentkit.text.formats import qwen_coder

FORMAT = replace(
    qwen_coder.FORMAT, name="mimo", block=qwen_coder.exact_block, own_starts=(qwen_coder.START, qwen_coder.FUNCTION)
)
