"""What the families of Cohere's models share."""

BOS, END = "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>"
_CALL = '<|START_ACTION|>[\n    {{"tool_call_id": "0", "tool_name": "'
FORCED = (_CALL, _CALL + '{name}", "parameters":')
TOKENS = (
    *("<BOS_TOKEN>", "<EOS_TOKEN>", "<PAD_TOKEN>", "<MASK_TOKEN>", "<EOP_TOKEN>", "<PAD>", "<UNK>", "<CLS>", "<SEP>"),
)
MARKUP = (
    *("<|START_ACTION|>", "<|END_ACTION|>", "<|START_THINKING|>", "<|END_THINKING|>", "<|START_TEXT|>", "<|END_TEXT|>"),
    *("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TOOL_RESULT|>", "<|END_TOOL_RESULT|>"),
)
