"""TinyLlama Chat v1.0, which knows no tools: json_tools.jinja describes them."""

from pathlib import Path

from agentkit.text.families.bare_json import FORCED
from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "tinyllama",
    patterns=(exactly(r"tinyllama-1\.1b-chat-v1\.0"),),
    template=Path(__file__).with_suffix(".jinja"),
    tools_template=Path(__file__).with_name("json_tools.jinja"),
    calls="agentkit.text.formats.llama",
    ends=("</s>",),
    forced=FORCED,
    special_tokens=("<s>", "</s>", "<unk>", "<|user|>", "<|system|>", "<|assistant|>"),
)
