"""Step 3.5 Flash and Step 3.7 Flash. Step 3.7 has a reasoning effort."""

from pathlib import Path

from agentkit.text.families.chatml import END
from agentkit.text.families.family import Family, Variant

FAMILY = Family(
    "step_3.5",
    patterns=(r"\bstep(?:fun)?[-_ ]?3\.[57][-_ ]flash(?!.*base)",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.qwen_coder",
    ends=(END,),
    forced=("<tool_call>\n<function=", "<tool_call>\n<function={name}>\n"),
    bos="<｜begin▁of▁sentence｜>",
    image="<im_patch>",
    variants=(Variant(r"3\.7", {"variables": {"has_effort": True}}),),
    tags=("tool_call", "tool_response", "tools", "think"),
)
