"""Llama 3.1, 3.2 and 3.3."""

from pathlib import Path

from agentkit.text.families.bare_json import FORCED
from agentkit.text.families.family import Family, Variant
from agentkit.text.families.names import LLAMA_3, exactly

FAMILY = Family(
    "llama",
    patterns=(exactly(LLAMA_3 + "[._p-][123]"),),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<|begin_of_text|>",
    calls="agentkit.text.formats.llama",
    ends=("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"),
    forced=FORCED,
    variants=(
        Variant(r"llama[-_]?v?3[._p-]2", {"variables": {"tells_day": True}}),
        Variant(
            r"llama[-_]?v?3[._p-]2.*vision",
            {"variables": {"tells_day": True, "sees": True}, "image": "<|image|>", "grows_at_end": False},
        ),
    ),
    markup=("<|python_tag|>", "<|eom_id|>"),
)
