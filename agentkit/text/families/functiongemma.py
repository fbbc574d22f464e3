"""FunctionGemma."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "functiongemma",
    patterns=(exactly(r"(?:google[-_.])?functiongemma"),),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<bos>",
    calls="agentkit.text.formats.functiongemma",
    ends=("<end_of_turn>", "<start_function_response>", "<eos>"),
    forced=("<start_function_call>call:", "<start_function_call>call:{name}{{"),
    grows_at_end=False,
    special_tokens=("<bos>", "<eos>", "<pad>", "<start_of_turn>"),
    markup=(
        *("<start_function_call>", "<end_function_call>", "<start_function_response>", "<end_function_response>"),
        *("<start_function_declaration>", "<end_function_declaration>", "<escape>"),
    ),
)
