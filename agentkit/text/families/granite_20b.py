"""Granite-20B-FunctionCalling."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "granite_20b",
    patterns=(exactly(r"(?:ibm[-_.](?:granite[-_.])?)?granite-?20b-functioncalling"),),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.granite_20b",
    ends=("<|endoftext|>", "<function_response>"),
    forced=('<function_call> {{"name": "', '<function_call> {{"name": "{name}", "arguments":'),
    markup=("<function_call>", "</function_call>", "<function_response>"),
)
