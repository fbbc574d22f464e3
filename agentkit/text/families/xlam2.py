"""xLAM 2 trained from Qwen2.5 (1B, 3B and 32B)."""

from pathlib import Path

from agentkit.text.families.chatml import END
from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "xlam2",
    patterns=(exactly(r"xlam-2-\d+b-fc-r"),),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.xlam",
    ends=(END, "<|endoftext|>"),
    forced=('[{{"name": "', '[{{"name": "{name}", "arguments":'),
)
