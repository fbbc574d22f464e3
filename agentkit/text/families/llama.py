"""Llama 3.1, 3.2, 3.3 and 4; the special tokens of Llama 2 too."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.vision import VISION

FAMILY = Family(
    "llama",
    patterns=(r"llama",),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<|begin_of_text|>",
    calls="agentkit.text.formats.llama",
    ends=("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"),
    forced=('{{"name": "', '{{"name": "{name}", "parameters":'),
    variants=VISION,
    special_tokens=("<s>", "</s>", "<unk>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"),
    markup=("<|python_tag|>", "<|eom_id|>"),
)
