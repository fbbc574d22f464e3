"""FireFunction v2, trained from Llama 3."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "firefunction_v2",
    patterns=(exactly(r"(?:llama-3-)?firefunction-v2"),),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<|begin_of_text|>",
    calls="agentkit.text.formats.functools_list",
    ends=("<|eot_id|>", "<|end_of_text|>"),
    forced=(' functools[{{"name": "', ' functools[{{"name": "{name}", "arguments":'),
)
