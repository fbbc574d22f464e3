"""GigaChat 3 of Sber."""

from pathlib import Path

from agentkit.text.families.family import Family

_CALL = "<|message_sep|>\n\nfunction call<|role_sep|>\n"

FAMILY = Family(
    "gigachat3",
    patterns=(r"gigachat-?3-10b",),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<s>",
    calls="agentkit.text.formats.gigachat",
    ends=("</s>", "user<|role_sep|>", "function result<|role_sep|>"),
    forced=(_CALL + '{{"name": "', _CALL + '{{"name": "{name}", "arguments": '),
    special_tokens=("<s>", "</s>", "<unk>", "<pad>", "<|role_sep|>", "<|message_sep|>"),
    markup=("<|function_call|>",),
)
