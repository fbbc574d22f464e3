"""The checks of a server that gets prompts and not messages: in which form they are, why, and whether it is right."""

from typing import TYPE_CHECKING

import openai

from agentkit.cli.doctor.verdict import Verdict
from agentkit.message import user

if TYPE_CHECKING:
    from agentkit.backends.lightllm import LightLLMBackend

QUESTION = [user("Say hello.")]


def form_of_prompt(backend: "LightLLMBackend") -> tuple[Verdict, str]:
    """Names the family, the template and the format of calls, and what they follow from. Raises ConfigurationError for
    a model of which they are not known."""
    chosen = backend.prompt_form()
    template = "its own template" if chosen.template is None else f"the template {chosen.template.name}"
    family = chosen.family
    return "yes", f"family {family.name}, {template}, calls in the form {family.format.name!r}: {chosen.reason}"


def same_as_servers(backend: "LightLLMBackend") -> tuple[Verdict, str]:
    """Compares the tokens of the prompt with those of the prompt that the server renders for chat completions."""
    try:
        own, servers = backend.prompt_tokens(QUESTION)
    except openai.APIStatusError:
        return "unknown", "the server does not count tokens, or has no chat completions"
    counts = f"{own} tokens, as rendered by the server {servers}"
    return (
        ("yes", counts) if own == servers else ("unknown", f"{counts}: it may have another template or another default")
    )
