"""Model families: the chat template, tool-call format, end-of-turn tokens and image placeholder of each."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agentkit.errors import ConfigurationError

CHATML = "<|im_end|>"
QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"


@dataclass(frozen=True)
class Family:
    """What is needed to use one family of models on a text-completion server.

    template: the name of a file in templates/. format: the name of a module in formats/. ends: tokens that end a turn,
    for stop_sequences. image: the placeholder of an image in the prompt, None where the family takes no images. forced:
    how a reply begins that has to call any tool, and one that has to call the tool `{name}`. starts_in_reasoning:
    whether the reply begins inside the reasoning. variables: passed to the template. tools_template: the name of a
    template that describes the tools, where the family's own does not. moves_head: whether the template renders the
    system message or the tools at the last question, so that a new question changes the text before it.
    """

    name: str
    template: str
    format: str
    ends: tuple[str, ...]
    forced: tuple[str, str]
    image: str | None = QWEN_IMAGE
    starts_in_reasoning: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict)
    tools_template: str | None = None
    moves_head: bool = False


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
            moves_head=True,
        ),
        Family(
            "deepseek",
            "deepseek",
            "deepseek",
            ("<｜end▁of▁sentence｜>",),
            (_DEEPSEEK_CALL, _DEEPSEEK_CALL + "{name}<｜tool▁sep｜>"),
            image=None,
            tools_template="deepseek_tools",
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

_NAME_PATTERNS = (
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
"""Models whose placeholder differs from that of their language model (from LightLLM's guide to multimodal prompts)."""


def family_named(name: str) -> Family:
    """Returns the family of that name. Raises ConfigurationError when there is none."""
    if name not in FAMILIES:
        raise ConfigurationError(f"unknown model family {name!r}: known are {', '.join(FAMILIES)}")
    return FAMILIES[name]


def family_of(model: str) -> Family | None:
    """Returns the family that a model's name, such as "Qwen/Qwen3-8B", belongs to; None when it is not known."""
    lowered = model.lower()
    found = next((name for pattern, name in _NAME_PATTERNS if re.search(pattern, lowered)), None)
    if found is None:
        return None
    family = FAMILIES[found]
    if found == "qwen3" and re.search(r"thinking|qwq", lowered):
        family = replace(family, starts_in_reasoning=True)
    if found == "deepseek" and re.search(r"\br1\b|-r1|reasoner", lowered):
        family = replace(family, variables={**family.variables, "thinking": True})
    image = next((image for pattern, image in _IMAGES if re.search(pattern, lowered)), family.image)
    return replace(family, image=image)
