"""Tools and documents by the names that a command line gives."""

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from agentkit import ConfigurationError, Tool

WEB_TOOLS = ("agentkit_tools:search", "agentkit_tools:visit")
"""What `agentkit ask` gives the model when nothing else is named."""

AnyTool = Tool[..., Any] | Callable[..., Any]


def load_tools(names: Sequence[str], folder: str | None) -> list[AnyTool]:
    """The tools of a command line: those named `module:name`, those for a folder, or else those for the web.

    Raises ConfigurationError when a name can't be loaded or the folder is none.
    """
    loaded = [tool for name in names for tool in load(name)]
    if folder is not None:
        from agentkit_tools import documents

        loaded += documents(folder)
    return loaded or [tool for name in WEB_TOOLS for tool in load(name)]


def load(name: str) -> list[AnyTool]:
    """What `module:name` stands for: a tool, a function, or several. The working directory is looked in too."""
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
    several = list(found) if isinstance(found, list | tuple) else [found]
    if not several or not all(callable(each) for each in several):
        raise ConfigurationError(f"--tool {name!r}: it is neither a tool nor a function, nor a list of these")
    return several
