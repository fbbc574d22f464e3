"""Phi-4 and Phi-4-reasoning."""

from pathlib import Path

from agentkit.text.families.bare_json import FORCED
from agentkit.text.families.family import Family, Variant
from agentkit.text.families.names import exactly

_REASONING = (
    "You are Phi, a language model trained by Microsoft to help users. Your role as an assistant involves thoroughly "
    "exploring questions through a systematic thinking process before providing the final precise and accurate "
    "solutions. This requires engaging in a comprehensive cycle of analysis, summarizing, exploration, reassessment, "
    "reflection, backtracing, and iteration to develop well-considered thinking process. Please structure your "
    "response into two main sections: Thought and Solution using the specified format: <think> {Thought section} "
    "</think> {Solution section}. In the Thought section, detail your reasoning process in steps. Each step should "
    "include detailed considerations such as analysing questions, summarizing relevant findings, brainstorming new "
    "ideas, verifying the accuracy of the current steps, refining any errors, and revisiting previous steps. In the "
    "Solution section, based on various attempts, explorations, and reflections from the Thought section, "
    "systematically present the final solution that you deem correct. The Solution section should be logical, "
    "accurate, and concise and detail necessary steps needed to reach the conclusion. Now, try to solve the following "
    "question through the above guidelines:"
)

FAMILY = Family(
    "phi4",
    patterns=(exactly(r"(?:microsoft[-_.])?phi-?4(?:-reasoning(?:[-:]plus)?)?"),),
    template=Path(__file__).with_suffix(".jinja"),
    tools_template=Path(__file__).with_name("described_tools.jinja"),
    calls="agentkit.text.formats.llama",
    ends=("<|im_end|>", "<|endoftext|>"),
    forced=FORCED,
    variants=(Variant(r"reasoning", {"variables": {"default_system": _REASONING}}),),
    tags=("tool_response", "think"),
)
