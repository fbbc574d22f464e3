"""Tool-call text formats, one file per family; `format_named` returns one."""

from importlib import import_module

from agentkit.errors import ConfigurationError
from agentkit.text.call_format import Format

NAMES = ("hermes", "qwen_coder", "llama", "mistral", "deepseek", "glm", "kimi")


def format_named(name: str) -> Format:
    """Returns the format of a family. Raises ConfigurationError when there is none of that name."""
    if name not in NAMES:
        raise ConfigurationError(f"unknown tool-call format {name!r}: known are {', '.join(NAMES)}")
    found: Format = import_module(f"agentkit.text.formats.{name}").FORMAT
    return found
