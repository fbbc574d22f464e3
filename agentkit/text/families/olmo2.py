"""OLMo 2 Instruct, which knows no tools: json_tools.jinja describes them."""

from pathlib import Path

from agentkit.text.families.bare_json import FORCED
from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "olmo2",
    patterns=(exactly(r"olmo-?2(?:-(?:1124|0325|0425))?(?:[-:](?:1|7|13|32)b)?(?:-(?:1124|0325|0425))?-instruct"),),
    template=Path(__file__).with_suffix(".jinja"),
    tools_template=Path(__file__).with_name("json_tools.jinja"),
    bos="<|endoftext|>",
    calls="agentkit.text.formats.llama",
    ends=("<|endoftext|>",),
    forced=FORCED,
)
