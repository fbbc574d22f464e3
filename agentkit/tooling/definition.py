"""What a tool's name and description have to be."""

from agentkit._lazy.logs import logger_of
from agentkit._lazy.patterns import pattern
from agentkit.errors import ToolDefinitionError
from agentkit.tooling.docstrings import TAKEN_AWAY
from agentkit.tooling.schema_dialects import MAX_DESCRIPTION

logger = logger_of("agentkit")

NAME = pattern(r"[a-zA-Z0-9_-]{1,64}")
"""Function names that OpenAI's API accepts."""


def checked_name(name: object) -> str:
    """The name of a tool. Raises ToolDefinitionError for one that servers refuse."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ToolDefinitionError(
            f"tool {name!r}: a name must be 1 to 64 letters, digits, '_' and '-' (of ASCII, as servers require): give "
            'another with name="..."'
        )
    return name


def checked_description(name: str, description: object) -> str:
    """The description of a tool. Raises ToolDefinitionError when there is none."""
    if not isinstance(description, str) or not description.strip():
        raise ToolDefinitionError(
            f"tool {name}: it has no docstring, and a model chooses tools by their descriptions: "
            "write one, or give description="
        )
    text = description.strip()
    if len(text) > MAX_DESCRIPTION:
        logger.warning(
            "tool %s: its description has %d characters, of which OpenAI's API takes %d: it is cut there",
            *(name, len(text), MAX_DESCRIPTION),
        )
    return text


def text_or_name(name: str, docstring: str) -> str:
    """The docstring of a tool; its name where the program runs without docstrings, with a warning."""
    if docstring or not TAKEN_AWAY:
        return docstring
    logger.warning(
        "tool %s: this program runs without docstrings (python -OO takes them away, and so does freezing with that "
        "optimisation): the model sees the name for a description, unless you give description=",
        name,
    )
    return name


def check_plain(name: str, function: object) -> None:
    """Raise ToolDefinitionError for an async function, whose calls run on an event loop in a thread of its own."""
    import inspect

    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise ToolDefinitionError(
            f"tool {name}: same_thread=True is for plain functions: async tools run on an event loop of their own"
        )
