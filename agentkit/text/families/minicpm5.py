"""MiniCPM5 of OpenBMB."""

from pathlib import Path

from agentkit.text.families.chatml import END, TAGS
from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "minicpm5",
    patterns=(exactly(r"minicpm[-_]?5"),),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<s>",
    calls="agentkit.text.formats.minicpm5",
    ends=(END, "</s>"),
    forced=('<function name="', '<function name="{name}">'),
    special_tokens=("<s>", "<unk>"),
    markup=("<function name=", "<param name=", "</param>", "</function>"),
    tags=TAGS,
)
