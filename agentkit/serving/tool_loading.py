"""Loads tools given by name or as `module:name`, the tools of a documents folder, and MCP servers."""

import importlib
import operator
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agentkit import ConfigurationError
from agentkit._lazy import Registry
from agentkit.plugins.installed import surroundings
from agentkit.running.agent_tools import AnyTool as AnyTool
from agentkit.tooling.foreign import tools_from
from agentkit.tooling.toolset import Toolset

TOOLS = Registry(
    "agentkit.tools",
    {
        "search": "agentkit_tools:search",
        "visit": "agentkit_tools:visit",
        "load_image": "agentkit_tools:load_image",
    },
    lambda found: _problem(found),
)
"""The tools that have a name, each a tool, a function, or a list of these: those of the tool pack that need no folder,
and those of other packages."""

WEB_TOOLS = ("search", "visit")
"""Default tools of `agentkit ask`."""


Inputs = Callable[[Mapping[str, Any]], str]
"""Gets the value that a configuration file of MCP servers asks for (see `agentkit.mcp.load_config`)."""


def load_tools(
    names: Sequence[str], folder: str | Sequence[str] | None, mcp: Sequence[str] = (), inputs: Inputs | None = None
) -> list[AnyTool]:
    """Return the tools of these names, those for folders of documents and those of MCP servers; without any, those for
    the web.

    Raises ConfigurationError when a name can't be loaded, `folder` is not a directory, or a server can't be what is
    given.
    """
    found = [*named_tools(names, folder), *mcp_servers(mcp, inputs)]
    return found if found or mcp else named_tools(WEB_TOOLS, None)


def mcp_servers(given: Sequence[str], inputs: Inputs | None = None) -> list[AnyTool]:
    """Return MCP servers, each given as a file of servers, or as the command or the address of one. Raises
    ConfigurationError."""
    servers: list[AnyTool] = []
    for each in given:
        servers += _servers_of(each.strip(), inputs)
    return servers


def _servers_of(given: str, inputs: Inputs | None) -> Sequence[AnyTool]:
    from agentkit.mcp import MCP, load_config

    path = Path(os.path.expanduser(given))
    if _is_file(path) and (path.suffix == ".json" or not os.access(path, os.X_OK)):
        return load_config(path, inputs=inputs)
    if given.endswith(".json") or not ("://" in given or len(given.split()) > 1 or _is_command(path)):
        raise ConfigurationError(
            f"--mcp {given!r}: there is no such file: give a file of servers (mcp.json), the command of a server in "
            "quotation marks, or its address (https://host/mcp)"
        )
    return [MCP(given)]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long for a name: the command of a server with its arguments
        return False


def _is_command(path: Path) -> bool:
    try:
        return shutil.which(path) is not None
    except (OSError, ValueError):
        return False


def named_tools(names: Sequence[str], folder: str | Sequence[str] | None) -> list[AnyTool]:
    """Return the tools of these names and those for a documents folder. Raises what `load_tools` raises."""
    loaded = [tool for name in names for tool in load(name)]
    if folder or folder == "":
        from agentkit_tools import documents

        loaded += documents(folder)
    return loaded


def load(name: str) -> list[AnyTool]:
    """Return what a name refers to (see `load_object`) as a list. Raises ConfigurationError when it can't be loaded."""
    found = load_object(name)
    return list(found) if isinstance(found, list | tuple) else [found]


def load_object(name: str) -> Any:
    """Return the tool, the function, the toolset, or the list or tuple of these that a name of TOOLS or `module:name`
    refers to. The working directory is searched for the module too. Raises ConfigurationError when it can't be
    loaded."""
    module, _, attribute = name.partition(":")
    found = attribute_of("--tool", name) if module and attribute else TOOLS.find(name)
    if found is None:
        known = ", ".join(TOOLS.names())
        raise ConfigurationError(
            f"--tool {name!r}: there is no such tool: write module:name, such as mytools:lookup, or one of {known}"
            f"{TOOLS.hint()}"
        )
    try:
        problem = _problem(found)
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(f"--tool {name!r}: {said(error)}") from error
    if problem:
        raise ConfigurationError(f"--tool {name!r}: {problem}")
    return found


def _problem(found: object) -> str:
    tools = found if isinstance(found, list | tuple) else [found]
    wrong = next((each for each in tools if not _is_right(each)), None if tools else found)
    if wrong is None:
        return ""
    from agentkit.tooling.signature import tool_methods  # for a mistake

    if methods := tool_methods(type(wrong)):
        return f"it is an object with tools as its methods: name them, such as module:object.{methods[0]}"
    return "it is neither a tool nor a function, nor a non-empty list of these"


def _is_right(found: object) -> bool:
    return callable(found) or isinstance(found, Toolset) or tools_from(found) is not None


def attribute_of(option: str, name: str) -> Any:
    """Return what `module:name` refers to; the working directory is searched too. option: that the name was given to.
    Raises ConfigurationError when there is no such module, or nothing of that name in it, and whatever the module
    raises."""
    module_name, _, attribute = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        if module_name.startswith("."):
            raise ImportError("a relative name has no package here")
        with surroundings():
            module = importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # what it raises is not known: SystemExit, pytest's Skipped
        raise ConfigurationError(f"{option} {name!r}: the module can't be imported: {said(error)}") from error
    return attribute_in(module, attribute, f"{option} {name!r}", f"the module {module_name}")


def attribute_in(module: object, attribute: str, given: str, where: str) -> Any:
    """Return an attribute of a module, or of an object in it (`shelf.find`). given: what the user has written. where:
    what the module is called in errors. Raises ConfigurationError when there is none, and whatever the module
    raises."""
    try:
        return operator.attrgetter(attribute)(module)
    except AttributeError:
        raise ConfigurationError(f"{given}: {where} has no {attribute!r}") from None
    except Exception as error:  # of its __getattr__
        raise ConfigurationError(f"{given}: {said(error)}") from error


def said(error: BaseException) -> str:
    """What is told of an error of a user's module."""
    return str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}".removesuffix(": ")
