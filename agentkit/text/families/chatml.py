"""What the families on ChatML share."""

END = "<|im_end|>"
JSON_CALL = ('<tool_call>\n{{"name": "', '<tool_call>\n{{"name": "{name}", "arguments":')
XML_CALL = ("<tool_call>\n<function=", "<tool_call>\n<function={name}>\n")
TAGS = ("tool_call", "tool_response", "tools", "think")
QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"

_OTHERS = (
    *("deepseek", "distill", "llava", "hermes", "dolphin", "nemotron"),
    *("omni", "audio", "asr", "tts", "embed", "rerank", "guard"),
)


def of_qwen(pattern: str) -> str:
    """Returns the pattern of names that contain Qwen's and then match another pattern, but for models that others made
    of Qwen's and that have another template, and for models of sound."""
    return rf"^(?!.*(?:{'|'.join(_OTHERS)})).*qwen[-_ ]?{pattern}"
