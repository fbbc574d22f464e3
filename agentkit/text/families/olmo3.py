"""Olmo 3 and 3.1 Instruct. The Think models know no tools, and have other templates."""

from pathlib import Path

from agentkit.text.families.chatml import END
from agentkit.text.families.family import Family, Variant
from agentkit.text.families.names import exactly

FAMILY = Family(
    "olmo3",
    patterns=(exactly(r"olmo-3(?:\.1)?(?:[-:](?:7|32)b)?-instruct"),),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.olmo",
    ends=(END, "<|endoftext|>"),
    forced=("<function_calls>", "<function_calls>{name}("),
    variants=(
        Variant(
            r"olmo-3\.1",
            {
                "variables": {
                    "default_system": "You are Olmo, a helpful AI assistant built by Ai2. Your date cutoff is December "
                    "2024, and your model weights are available at https://huggingface.co/allenai."
                }
            },
        ),
    ),
    tags=("functions", "function_calls"),
)
