"""Tools of LlamaIndex: `FunctionTool`, `QueryEngineTool`, subclasses of `BaseTool`."""

import inspect
from typing import Any

from agentkit.tooling.annotations import signature_of
from agentkit.tooling.foreign.call import ForeignCall, Found, failed, raised_by, refused
from agentkit.tooling.foreign.content import shown_parts
from agentkit.tooling.foreign.schemas import parameters_of, valid_name, variadic_of
from agentkit.tooling.objects import get, has
from agentkit.tooling.options import ToolArguments

_INPUT = {"properties": {"input": {"type": "string"}}, "required": ["input"]}
"""The arguments of a tool without a schema."""


def is_tool(value: Any) -> bool:
    """Whether it has the form of a tool of LlamaIndex."""
    about = get(value, "metadata")
    return hasattr(about, "fn_schema") and isinstance(get(about, "description"), str) and has(value, "__call__")


def found(tool: Any) -> Found:
    """The tool for a model. Raises ToolDefinitionError for one that needs the context of a workflow."""
    about = tool.metadata
    name = valid_name(about.name)
    given = get(tool, "partial_params") or {}
    if get(tool, "requires_context") and get(tool, "ctx_param_name") not in given:
        raise refused(
            name,
            "its function takes the Context of a LlamaIndex workflow, and there is none here: write a function with "
            "@tool of agentkit that takes the run's `Context`",
        )
    schema = _INPUT if about.fn_schema is None else about.fn_schema
    call = LlamaIndexCall(tool)
    parameters = parameters_of(schema, name, call.hidden, is_open=False, function=get(tool, "real_fn"))
    options: ToolArguments = {"ends_run": True} if get(about, "return_direct") else {}
    return Found(name, str(get(about, "description") or ""), parameters, call, options)


class LlamaIndexCall(ForeignCall):
    """Calls a tool of LlamaIndex; one of an async function on the event loop of the async tools."""

    kind = "LlamaIndex tool"

    def __init__(self, target: Any) -> None:
        function, given = get(target, "real_fn"), get(target, "partial_params") or {}
        super().__init__(target, function, variadic_of(function), given)
        self.is_async = inspect.iscoroutinefunction(self.origin) and has(target, "acall")

    def begun(self, arguments: dict[str, Any]) -> Any:
        """Call the tool."""
        if self.is_async:
            return _called(self.target.acall, arguments)
        call = self.target.call if has(self.target, "call") else self.target
        try:
            return _called(call, arguments)
        except NotImplementedError as error:
            if not (has(self.target, "acall") and raised_by(error, call)):
                raise
            return _called(self.target.acall, arguments)

    def result(self, value: Any) -> Any:
        """What a ToolOutput has for the model."""
        if not (hasattr(value, "raw_output") and hasattr(value, "content")):
            return shown_parts(value)
        if get(value, "is_error"):
            raise failed(value.content, is_for_the_model=False)
        raw = value.raw_output
        is_data = isinstance(raw, dict | list | tuple | bool | int | float | None) or hasattr(type(raw), "model_fields")
        if is_data and value.content == str(raw):  # JSON says more than what Python prints
            return raw
        blocks = get(value, "blocks")
        return shown_parts(list(blocks)) if blocks else value.content


def _called(call: Any, arguments: dict[str, Any]) -> Any:
    """By name; or the only argument by place, where the method has another name for it."""
    if len(arguments) == 1:
        try:
            signature_of(call).bind(**arguments)
        except TypeError:
            return call(*arguments.values())
        except ValueError:
            pass  # it has no signature
    return call(**arguments)
