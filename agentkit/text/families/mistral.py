"""Mistral, Mixtral, Devstral, Magistral and Codestral."""

import uuid
from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.vision import VISION


def new_call_id() -> str:
    """Returns nine letters and digits: its templates reject other ids."""
    return uuid.uuid4().hex[:9]


FAMILY = Family(
    "mistral",
    patterns=(r"mi[sx]tral", r"devstral", r"magistral", r"codestral"),
    template=Path(__file__).with_suffix(".jinja"),
    bos="<s>",
    calls="agentkit.text.formats.mistral",
    ends=("</s>",),
    forced=("[TOOL_CALLS]", "[TOOL_CALLS]{name}[ARGS]"),
    image="[IMG]",
    variants=VISION,
    variables={"system_stays": True},
    moves_head=True,
    new_call_id=new_call_id,
    short_ids=True,
    special_tokens=(
        *("<s>", "<unk>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[IMG_BREAK]", "[IMG_END]"),
        *("[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[AUDIO]", "[BEGIN_AUDIO]", "[TRANSCRIBE]"),
        *("[MODEL_SETTINGS]", "[/MODEL_SETTINGS]"),
    ),
    markup=(
        *("[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"),
        *("[TOOL_CONTENT]", "[CALL_ID]", "[ARGS]", "[THINK]", "[/THINK]"),
    ),
)
