"""gpt-oss of OpenAI."""

from pathlib import Path

from agentkit.text.families.family import Family

_CALL = "<|channel|>commentary to=functions."

FAMILY = Family(
    "gpt_oss",
    patterns=(r"gpt-?oss(?:-safeguard)?(?:$|[-_:](?:20|120)b|:latest)",),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.gpt_oss",
    ends=("<|return|>", "<|call|>"),
    forced=(_CALL, _CALL + "{name} <|constrain|>json<|message|>"),
    grows_at_end=False,
    special_tokens=("<|start|>", "<|end|>", "<|return|>"),
    markup=("<|channel|>", "<|message|>", "<|constrain|>", "<|call|>"),
)
