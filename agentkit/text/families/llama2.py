"""Llama 2 Chat, which knows no tools: json_tools.jinja describes them."""

from pathlib import Path

from agentkit.text.families.bare_json import FORCED
from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "llama2",
    patterns=(exactly(r"(?:meta[-_.])?llama[-_]?v?2"),),
    template=Path(__file__).with_suffix(".jinja"),
    tools_template=Path(__file__).with_name("json_tools.jinja"),
    bos="<s>",
    calls="agentkit.text.formats.llama",
    ends=("</s>",),
    forced=FORCED,
    special_tokens=("<s>", "</s>", "<unk>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"),
)
