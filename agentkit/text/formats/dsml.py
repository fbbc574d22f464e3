"""DeepSeek V4: the calls of dsml_block.py between <｜DSML｜tool_calls> and </｜DSML｜tool_calls>."""

from agentkit.text.formats.dsml_block import dsml_format

FORMAT = dsml_format("dsml", "tool_calls")
