"""What the families on ChatML share."""

END = "<|im_end|>"
JSON_CALL = ('<tool_call>\n{{"name": "', '<tool_call>\n{{"name": "{name}", "arguments":')
TAGS = ("tool_call", "tool_response", "tools", "think")
QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
