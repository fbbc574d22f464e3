"""xLAM 2 trained from Llama 3.1 (8B and 70B)."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "xlam2_llama",
    patterns=(exactly(r"llama-xlam-2-\d+b-fc-r"),),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<|begin_of_text|>",
    calls="agentkit.text.formats.xlam",
    ends=("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"),
    forced=('[{{"name": "', '[{{"name": "{name}", "arguments":'),
)
