"""Hunyuan-A13B-Instruct of Tencent."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "hunyuan",
    patterns=(exactly(r"hunyuan[-_]a13b"),),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.hunyuan",
    ends=("<|eos|>", "<|endoftext|>"),
    forced=('<tool_calls>[{{"name": "', '<tool_calls>[{{"name": "{name}", "arguments":'),
    grows_at_end=False,
    tags=("tool_calls", "tool_response", "think", "answer"),
)
