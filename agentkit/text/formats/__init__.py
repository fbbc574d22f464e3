"""Tool-call text formats, one file a family; `format_named` finds one."""

from importlib import import_module

from agentkit.errors import ConfigurationError
from agentkit.text.call_format import Format

NAMES = ("hermes", "qwen_coder", "llama", "mistral", "deepseek", "glm", "kimi")


def format_named(name: str) -> Format:
    """The format of a family. Raises ConfigurationError when there is none of that name."""
    if name not in NAMES:
        raise ConfigurationError(f"there is no tool-call format {name!r}: known are {', '.join(NAMES)}")
    found: Format = import_module(f"agentkit.text.formats.{name}").FORMAT
    return found
