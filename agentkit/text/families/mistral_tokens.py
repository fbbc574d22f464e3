"""What the families of Mistral's models share."""

import uuid

BOS, END, IMAGE = "<s>", "</s>", "[IMG]"

TOKENS = (
    *("<s>", "<unk>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[IMG]", "[IMG_BREAK]", "[IMG_END]"),
    *("[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[AUDIO]", "[BEGIN_AUDIO]", "[TRANSCRIBE]"),
    *("[MODEL_SETTINGS]", "[/MODEL_SETTINGS]", "[STREAMING_PAD]", "[STREAMING_WORD]"),
    *("[NEXT_AUDIO_TEXT]", "[REPEAT_AUDIO_TEXT]"),
)
MARKUP = (
    *("[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"),
    *("[TOOL_CONTENT]", "[CALL_ID]", "[ARGS]", "[THINK]", "[/THINK]"),
)

NAME = r"(?:^|[/_]|mistralai-|unsloth-|unsloth-mistral-|open-)"
"""What stands before the name of a model of Mistral; other words before it are those of others' fine-tunes, which may
have another template."""

LIST_CALL = ('[TOOL_CALLS][{{"name": "', '[TOOL_CALLS][{{"name": "{name}", "arguments":')
SPACED_CALL = ('[TOOL_CALLS] [{{"name": "', '[TOOL_CALLS] [{{"name": "{name}", "arguments":')
NAMED_CALL = ("[TOOL_CALLS]", "[TOOL_CALLS]{name}[ARGS]")


def short_id() -> str:
    """Returns nine letters and digits: the templates reject other ids."""
    return uuid.uuid4().hex[:9]
