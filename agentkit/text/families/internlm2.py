"""InternLM2 and 2.5, the chat models."""

from pathlib import Path

from agentkit.text.families.chatml import END
from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

_CALL = '<|action_start|><|plugin|>\n{{"name": "'

FAMILY = Family(
    "internlm2",
    patterns=(
        exactly(r"internlm2(?:[._]5)?(?:[-_]chat(?:[-_]\d+(?:[._]8)?b)?|[-_]\d+(?:[._]8)?b[-_]chat|:\d+(?:[._]8)?b)"),
    ),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<s>",
    calls="agentkit.text.formats.internlm",
    ends=(END, "</s>"),
    forced=(_CALL, _CALL + '{name}", "arguments":'),
    special_tokens=("<s>", "<unk>"),
    markup=("<|plugin|>", "<|interpreter|>", "<|action_start|>", "<|action_end|>"),
)
