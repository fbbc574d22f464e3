"""Families of models: which chat template, tool-call format, end of turn and image placeholder belong together."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agentkit.errors import ConfigurationError

CHATML = "<|im_end|>"
QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"


@dataclass(frozen=True)
class Family:
    """What a text server has to be told for one family of models.

    template: the name of a file in templates/. format: the name of a module in formats/. ends: what ends a turn, for
    stop_sequences. image: what stands for a picture in the prompt, None where the family takes none. forced: how a
    reply begins that has to be a call, `{name}` where the tool's name goes, and how one does that may be any.
    opens_thoughts: the reply begins inside the reasoning. variables: given to the template. tells_tools: the name of
    a template that describes the tools, where the family's own does not. moves: the template shows the system message
    or the tools at the last question, so that a new question changes what came before.
    """

    name: str
    template: str
    format: str
    ends: tuple[str, ...]
    forced: tuple[str, str]
    image: str | None = QWEN_IMAGE
    opens_thoughts: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict)
    tells_tools: str | None = None
    moves: bool = False


_JSON_CALL = ('<tool_call>\n{{"name": "', '<tool_call>\n{{"name": "{name}", "arguments": ')
_KIMI_CALL = "<|tool_calls_section_begin|><|tool_call_begin|>functions."
_DEEPSEEK_CALL = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>"

FAMILIES = {
    family.name: family
    for family in (
        Family("qwen2.5", "qwen2.5", "hermes", (CHATML, "<|endoftext|>"), _JSON_CALL),
        Family("qwen3", "qwen3", "hermes", (CHATML, "<|endoftext|>"), _JSON_CALL),
        Family(
            "qwen3_coder",
            "qwen3_coder",
            "qwen_coder",
            (CHATML, "<|endoftext|>"),
            ("<tool_call>\n<function=", "<tool_call>\n<function={name}>\n"),
        ),
        Family("hermes", "hermes", "hermes", (CHATML,), _JSON_CALL, image=None),
        Family(
            "llama",
            "llama",
            "llama",
            ("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"),
            ('{{"name": "', '{{"name": "{name}", "parameters": '),
            image=None,
        ),
        Family(
            "mistral",
            "mistral",
            "mistral",
            ("</s>",),
            ("[TOOL_CALLS]", "[TOOL_CALLS]{name}[ARGS]"),
            image="[IMG]",
            variables={"system_stays": True},
            moves=True,
        ),
        Family(
            "deepseek",
            "deepseek",
            "deepseek",
            ("<｜end▁of▁sentence｜>",),
            (_DEEPSEEK_CALL, _DEEPSEEK_CALL + "{name}<｜tool▁sep｜>"),
            image=None,
            tells_tools="deepseek_tools",
        ),
        Family(
            "glm",
            "glm",
            "glm",
            ("<|user|>", "<|observation|>", "<|endoftext|>"),
            ("<tool_call>", "<tool_call>{name}\n"),
            image="<|begin_of_image|><|image|><|end_of_image|>",
        ),
        Family(
            "kimi",
            "kimi",
            "kimi",
            (CHATML,),
            (_KIMI_CALL, _KIMI_CALL + "{name}:0<|tool_call_argument_begin|>"),
            image="<|media_start|>image<|media_content|><|media_pad|><|media_end|>\n",
        ),
    )
}

DEFAULT = "qwen3"

_BY_NAME = (
    (r"qwen-?3[-_.]?coder|qwen-?3\.5|nemotron-?3|step-?3\.5|mimo-v2", "qwen3_coder"),
    (r"deepseek", "deepseek"),
    (r"hermes", "hermes"),
    (r"kimi", "kimi"),
    (r"glm|chatglm|z1-", "glm"),
    (r"qwen-?3|qwq", "qwen3"),
    (r"qwen|internvl", "qwen2.5"),
    (r"llama", "llama"),
    (r"mi[sx]tral|devstral|magistral|codestral", "mistral"),
)
_IMAGES = ((r"internvl|llava", "<image>\n"), (r"gemma-?3", "<start_of_image>"))
"""Models whose placeholder isn't that of their language model (the server's documentation of multimodal prompts)."""


def family_named(name: str) -> Family:
    """Raises ConfigurationError when there is no family of that name."""
    if name not in FAMILIES:
        raise ConfigurationError(f"there is no model family {name!r}: known are {', '.join(FAMILIES)}")
    return FAMILIES[name]


def family_of(model: str) -> Family | None:
    """The family that a model's name tells of, such as "Qwen/Qwen3-8B"; None when it tells of none."""
    lowered = model.lower()
    found = next((name for pattern, name in _BY_NAME if re.search(pattern, lowered)), None)
    if found is None:
        return None
    family = FAMILIES[found]
    if found == "qwen3" and re.search(r"thinking|qwq", lowered):
        family = replace(family, opens_thoughts=True)
    if found == "deepseek" and re.search(r"\br1\b|-r1|reasoner", lowered):
        family = replace(family, variables={**family.variables, "thinking": True})
    image = next((image for pattern, image in _IMAGES if re.search(pattern, lowered)), family.image)
    return replace(family, image=image)
