"""Llama 3, which knows no tools: json_tools.jinja describes them."""

from pathlib import Path

from agentkit.text.families.bare_json import FORCED
from agentkit.text.families.family import Family
from agentkit.text.families.names import LLAMA_3, exactly

FAMILY = Family(
    "llama3",
    patterns=(exactly(LLAMA_3),),
    template=Path(__file__).with_suffix(".jinja"),
    tools_template=Path(__file__).with_name("json_tools.jinja"),
    bos="<|begin_of_text|>",
    calls="agentkit.text.formats.llama",
    ends=("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"),
    forced=FORCED,
)
