"""Which tools of other frameworks there are, and by what form each is known."""

from collections.abc import Callable
from typing import Any

from agentkit.tooling.foreign import agno, langchain, llama_index, llm_package, openai_agents, qwen_agent, smolagents
from agentkit.tooling.foreign.call import Found

_KINDS = (openai_agents, langchain, agno, smolagents, llama_index, llm_package, qwen_agent)
_TOOLKITS = (agno, llm_package, langchain)
_CLASSES = (langchain, smolagents, agno, llm_package, qwen_agent)

NAMES = "LangChain, openai-agents, smolagents, LlamaIndex, agno, llm or Qwen-Agent"


def reader_of(given: Any) -> Callable[[Any], Found] | None:
    """What reads a tool of this form; None for what is none."""
    return next((kind.found for kind in _KINDS if kind.is_tool(given)), None)


def members_of(given: Any) -> list[Any] | None:
    """The tools of an object that holds several; None for anything else."""
    for kind in _TOOLKITS:
        found: list[Any] | None = kind.toolkit_tools(given)
        if found is not None:
            return found
    return None


def is_class(given: type) -> bool:
    """Whether the objects of a class are tools or hold some."""
    return any(kind.is_class(given) for kind in _CLASSES)
