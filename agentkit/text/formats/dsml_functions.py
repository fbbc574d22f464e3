"""DeepSeek V3.2: the calls of dsml_block.py between <｜DSML｜function_calls> and </｜DSML｜function_calls>."""

from agentkit.text.formats.dsml_block import dsml_format

FORMAT = dsml_format("dsml_functions", "function_calls")
