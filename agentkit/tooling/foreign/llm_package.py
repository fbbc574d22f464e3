"""Tools and toolboxes of the package `llm`: `Tool`, `Toolbox`."""

import inspect
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from agentkit.tooling.annotations import signature_of
from agentkit.tooling.foreign.call import ForeignCall, Found, beside, refused
from agentkit.tooling.foreign.content import image_part, joined
from agentkit.tooling.foreign.schemas import parameters_of, valid_name, variadic_of
from agentkit.tooling.objects import get, has
from agentkit.tooling.results import rendered
from agentkit.tooling.settling import settled
from agentkit.tooling.stop import Stop

_CALL = "llm_tool_call"
"""A parameter that takes the call itself."""


def is_tool(value: Any) -> bool:
    """Whether it has the form of a tool of llm."""
    is_described = isinstance(get(value, "input_schema"), Mapping) and isinstance(get(value, "name"), str)
    return is_described and hasattr(value, "implementation")


def is_class(kind: type) -> bool:
    """Whether objects of this class are toolboxes."""
    return callable(getattr(kind, "method_tools", None))


def toolkit_tools(value: Any) -> list[Any] | None:
    """The tools of a Toolbox of llm, which is prepared before; None for anything else."""
    if isinstance(value, type) or not is_class(type(value)):
        return None
    if get(value, "_prepared") is False:
        value.prepare()
        value._prepared = True
    if get(value, "_async_prepared") is False and has(value, "prepare_async"):
        settled(value.prepare_async(), Stop("prepare_async"))
        value._async_prepared = True
    return list(value.tools() if has(value, "tools") else value.method_tools())  # the latter before version 0.27


def found(tool: Any) -> Found:
    """The tool for a model. Raises ToolDefinitionError for one that the model's server would run."""
    name = valid_name(tool.name)
    if not callable(tool.implementation):
        raise refused(name, "it has no implementation: the server of the model runs it, and others don't know it")
    call = LlmCall(tool)
    parameters = parameters_of(tool.input_schema, name, call.hidden, function=tool.implementation)
    return Found(name, inspect.cleandoc(get(tool, "description") or ""), parameters, call, {})


class LlmCall(ForeignCall):
    """Calls a tool of llm; an async one on the event loop of the async tools."""

    kind = "llm tool"

    def __init__(self, target: Any) -> None:
        super().__init__(target, target.implementation, variadic_of(target.implementation), (_CALL,))
        self._takes_call = _CALL in _names_of(target.implementation)

    def begun(self, arguments: dict[str, Any]) -> Any:
        """Call the tool."""
        function = self.target.implementation
        if not self._takes_call:
            return function(**arguments)
        make = beside(self.target, "ToolCall") or SimpleNamespace
        call = make(name=self.target.name, arguments=arguments, tool_call_id=None)
        return function(**arguments, **{_CALL: call})

    def result(self, value: Any) -> Any:
        """The output and the attachments."""
        attachments = get(value, "attachments")
        if not (hasattr(value, "output") and isinstance(attachments, list)):
            return value
        output = value.output
        if not attachments:
            return output
        parts = [output if isinstance(output, str) else rendered(output)[0], *map(_shown, attachments)]
        return joined([each for each in parts if each != ""])


def _shown(attachment: Any) -> Any:
    kind = get(attachment, "type")
    if isinstance(kind, str) and not kind.startswith("image/"):
        return f"(an attachment of the type {kind}, which can't be shown)"
    return image_part(data=get(attachment, "content"), url=get(attachment, "url"), path=get(attachment, "path"))


def _names_of(function: Any) -> tuple[str, ...]:
    try:
        return tuple(signature_of(function).parameters)
    except (TypeError, ValueError):
        return ()
