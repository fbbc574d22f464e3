"""Loads tools given by name or as `module:name`, and the tools of a documents folder."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

from agentkit import ConfigurationError
from agentkit._lazy import Registry
from agentkit.running.agent_tools import AnyTool as AnyTool

TOOLS = Registry(
    "agentkit.tools",
    {
        "search": "agentkit_tools:search",
        "visit": "agentkit_tools:visit",
        "load_image": "agentkit_tools:load_image",
    },
)
"""The tools that have a name, each a tool, a function, or a list of these: those of the tool pack that need no folder,
and those of other packages."""

WEB_TOOLS = ("search", "visit")
"""Default tools of `agentkit ask`."""


def load_tools(names: Sequence[str], folder: str | None) -> list[AnyTool]:
    """Return the tools of these names and those for a documents folder; without any, the web tools.

    Raises ConfigurationError when a name can't be loaded or `folder` is not a directory.
    """
    return named_tools(names, folder) or named_tools(WEB_TOOLS, None)


def named_tools(names: Sequence[str], folder: str | None) -> list[AnyTool]:
    """Return the tools of these names and those for a documents folder. Raises what `load_tools` raises."""
    loaded = [tool for name in names for tool in load(name)]
    if folder is not None:
        from agentkit_tools import documents

        loaded += documents(folder)
    return loaded


def load(name: str) -> list[AnyTool]:
    """Return the tool, the function, or the list of these that a name of TOOLS or `module:name` refers to. The working
    directory is searched for the module too. Raises ConfigurationError when it can't be loaded."""
    module, _, attribute = name.partition(":")
    found = _attribute(name, module, attribute) if module and attribute else TOOLS.find(name)
    if found is None:
        known = ", ".join(TOOLS.names())
        raise ConfigurationError(
            f"--tool {name!r}: there is no such tool: write module:name, such as mytools:lookup, or one of {known}"
        )
    tools = list(found) if isinstance(found, list | tuple) else [found]
    if not tools or not all(callable(each) for each in tools):
        raise ConfigurationError(f"--tool {name!r}: it is neither a tool nor a function, nor a non-empty list of these")
    return tools


def _attribute(name: str, module_name: str, attribute: str) -> Any:
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigurationError(f"--tool {name!r}: the module can't be imported: {error}") from None
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise ConfigurationError(f"--tool {name!r}: the module {module_name} has no {attribute!r}") from None
