"""A tool with another name, description or options."""

import copy
from collections.abc import Mapping
from typing import Any

from agentkit._lazy.records import replace
from agentkit._text import known_options
from agentkit.errors import ToolDefinitionError
from agentkit.tooling.definition import checked_description, checked_name
from agentkit.tooling.options import ToolOptions
from agentkit.tooling.result_cache import ResultCache


def replaced(tool: Any, name: str | None, description: str | None, options: Mapping[str, Any]) -> Any:
    """What `Tool.replace` returns."""
    made = copy.copy(tool)
    made.name = tool.name if name is None else checked_name(name)
    made.description = tool.description if description is None else checked_description(made.name, description)
    changes = known_options(f"tool {made.name}", options, ToolOptions)
    try:
        made.options = replace(tool.options, **changes)
    except ToolDefinitionError as error:
        raise ToolDefinitionError(f"tool {made.name}: {error}") from None
    made._cache = None if made.options.cache is None else ResultCache(made.options.cache)
    made._read = tool._reader(made.name, not made.options.read_only)
    made._set_isolation()
    return made
