"""InternLM2 and 2.5, the chat models."""

from pathlib import Path

from agentkit.text.families.chatml import END
from agentkit.text.families.family import Family

_CALL = '<|action_start|><|plugin|>\n{{"name": "'

FAMILY = Family(
    "internlm2",
    patterns=(r"internlm[-_]?2(?:[._]5)?(?:[-_:](?:chat|\d+(?:[._]\d)?b)|$)",),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<s>",
    calls="agentkit.text.formats.internlm",
    ends=(END, "</s>"),
    forced=(_CALL, _CALL + '{name}", "arguments": '),
    special_tokens=("<s>", "<unk>"),
    markup=("<|plugin|>", "<|interpreter|>", "<|action_start|>", "<|action_end|>"),
)
