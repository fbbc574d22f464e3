"""Loads tools given as `module:name`, and the tools of a documents folder."""

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from agentkit import ConfigurationError, Tool

WEB_TOOLS = ("agentkit_tools:search", "agentkit_tools:visit")
"""Default tools of `agentkit ask`."""

AnyTool = Tool[..., Any] | Callable[..., Any]


def load_tools(names: Sequence[str], folder: str | None) -> list[AnyTool]:
    """Return the tools named `module:name` and those for a documents folder; without any, the web tools.

    Raises ConfigurationError when a name can't be loaded or `folder` is not a directory.
    """
    loaded = [tool for name in names for tool in load(name)]
    if folder is not None:
        from agentkit_tools import documents

        loaded += documents(folder)
    return loaded or [tool for name in WEB_TOOLS for tool in load(name)]


def load(name: str) -> list[AnyTool]:
    """Return the tool, the function, or the list of these that `module:name` refers to. The working directory is
    searched too. Raises ConfigurationError when it can't be loaded."""
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise ConfigurationError(f"--tool {name!r}: write module:name, such as agentkit_tools:search")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigurationError(f"--tool {name!r}: the module can't be imported: {error}") from None
    try:
        found = getattr(module, attribute)
    except AttributeError:
        raise ConfigurationError(f"--tool {name!r}: the module {module_name} has no {attribute!r}") from None
    tools = list(found) if isinstance(found, list | tuple) else [found]
    if not tools or not all(callable(each) for each in tools):
        raise ConfigurationError(f"--tool {name!r}: it is neither a tool nor a function, nor a non-empty list of these")
    return tools
