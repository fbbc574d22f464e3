"""GigaChat 3.1 of Sber."""

from pathlib import Path

from agentkit.text.families.family import Family

_CALL = "<|function_call|>"

FAMILY = Family(
    "gigachat3.1",
    patterns=(r"gigachat-?3\.1-10b",),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<s>",
    calls="agentkit.text.formats.gigachat",
    ends=("<|message_sep|>", "</s>"),
    forced=(_CALL + '{{"name": "', _CALL + '{{"name": "{name}", "arguments": '),
    special_tokens=("<s>", "</s>", "<unk>", "<pad>", "<|role_sep|>", "<|message_sep|>"),
    markup=("<|function_call|>",),
)
